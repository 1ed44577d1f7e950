# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who this board is, its key, its pins. ``identity`` reads it."""

from firmware.node.errors import ConfigError


class Config:
    """The identity's values, by the names in ``identity.FIELDS``; *board* is the map that the role reads."""

    dev_eui: bytes
    join_eui: bytes
    app_key: bytes
    kind: str
    link: str
    console: bool
    interval_ms: int
    receipt_every: int
    queue_bytes: int
    board: dict

    def __init__(self, values: dict) -> None:
        for name in values:
            setattr(self, name, values[name])


def board_int(board: dict, name: str, default: int | None = None) -> int:
    """Return an integer of a board map. Raises ConfigError when it is missing or of another type."""
    value = board.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError("identity: board.%s is %r; a number from 0 is expected" % (name, value))
    return value
