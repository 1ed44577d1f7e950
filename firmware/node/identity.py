# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What provisioning gave this board, read from ``identity.a|.b`` and checked strictly. Loaded once, at the start."""

from firmware.node.config import Config
from firmware.node.errors import ConfigError
from firmware.node.store import Slots, decode
from firmware.wire.errors import Malformed

# name: (type, lowest, highest); for bytes and str the limits are lengths
FIELDS = {
    "dev_eui": (bytes, 8, 8),
    "join_eui": (bytes, 8, 8),
    "app_key": (bytes, 16, 16),
    "kind": (str, 1, 32),
    "link": (str, 1, 32),
    "console": (bool, 0, 1),
    "interval_ms": (int, 50, 86400000),
    "receipt_every": (int, 1, 64),
    "queue_bytes": (int, 4096, 16777216),
    "board": (dict, 0, 64),
}
_SECRET = ("app_key",)


def load(files) -> Config:
    """Return the board's configuration. Raises ConfigError, which says what to do."""
    slots = Slots(files, "identity")
    if slots.fresh:
        raise ConfigError("no identity on this board; register it with 'lykta register' and flash it again")
    if slots.payload is None:
        raise ConfigError("both copies of the identity are damaged; provision the board again")
    try:
        values = decode(slots.payload)
    except Malformed as error:
        raise ConfigError("identity: %s; provision the board again" % error)
    if not isinstance(values, dict):
        raise ConfigError("identity: a map is expected, not %s" % type(values).__name__)
    check(values)
    return Config(values)


def check(values: dict) -> None:
    """Raise ConfigError unless these are the values of an identity."""
    for key in values:
        if key not in FIELDS:
            raise ConfigError("identity: %r is not known; known are %s" % (key, ", ".join(sorted(FIELDS))))
    for name, (kind, low, high) in FIELDS.items():
        if name not in values:
            raise ConfigError("identity: %s is missing" % name)
        value = values[name]
        shown = "that value" if name in _SECRET else repr(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError("identity: %s is %s; it must be of type %s" % (name, shown, kind.__name__))
        if not low <= _size(value) <= high:
            what = "length " if kind in (bytes, str) else ""
            raise ConfigError("identity: %s is %s; %s%d to %d is possible" % (name, shown, what, low, high))


def _size(value):
    return value if isinstance(value, (int, bool)) else len(value)  # on the board a bool is no int
