# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What may stand in the table ``lorawan`` of a board map. Loaded once, at the start."""

from firmware.node.errors import ConfigError

_OPTIONS = {
    "class": str,
    "mains": bool,
    "adr": bool,
    "certification": bool,
    "antenna_dbi": int,
    "min_dbm": int,
    "max_dbm": int,
    "window_error_us": int,
}


def check(options) -> None:
    """Raise ConfigError for what is not known, or of another type."""
    for name in options:
        value, kind = options[name], _OPTIONS.get(name)
        if kind is None:
            raise ConfigError("identity: board.lorawan.%s; known are %s" % (name, ", ".join(sorted(_OPTIONS))))
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError("identity: board.lorawan.%s is %r; it must be of type %s" % (name, value, kind.__name__))
    if options.get("class", "A") not in ("A", "C"):
        raise ConfigError("identity: board.lorawan.class is %r; A and C are possible" % options["class"])
