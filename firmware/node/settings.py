# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a city may change from afar, kept on flash: validated against the tables beside each kind, all or nothing.

Damaged settings are not guessed: all fall back to their defaults, ``damaged`` says so, and the role does what is safe.
"""

import binascii

from firmware.node.lazy import borrowed
from firmware.node.log import log, log_error
from firmware.node.store import Slots
from firmware.wire import cbor


class Settings:
    """Of a device of *kind*. ``values`` by key differ from the defaults; ``on_change`` is called when they change."""

    def __init__(self, files, kind: str) -> None:
        self._slots = Slots(files, "settings")
        self._kind = kind
        self.values = {}  # type: dict[int, object]
        self.damaged = False
        self.on_change = None
        payload = self._slots.payload
        with self.tables() as tables:
            if payload is None:
                self.damaged = not self._slots.fresh
            elif payload:
                values = tables.read(kind, payload)
                self.damaged = values is None
                self.values = values or {}
            self._now = tables.named(kind, self.values)
        if self.damaged:
            log("settings", "damaged; defaults hold until they are set again")

    def __getitem__(self, name: str):
        """Return the value of a setting by its name. KeyError for a name that no table has."""
        return self._now[name]

    def tables(self) -> borrowed:
        """Return what judges settings, for a ``with``."""
        return borrowed(
            "tables",
            "wire.kinds." + self._kind + "_controls",
            "wire.kinds.common_controls",
            "wire.shapes",
            "wire.requests",
        )

    def crc(self) -> int:
        """Return a CRC-32 over all that differs from the defaults: equal settings, equal number."""
        return binascii.crc32(cbor.dumps(self.values))

    def changed(self) -> list[int]:
        """Return the keys that differ from their defaults."""
        return sorted(self.values)

    def apply(self, changes: dict) -> tuple:
        """Take over values by key, all or none; return a status of wire.requests, and the key that was refused."""
        with self.tables() as tables:
            return tables.apply(self, self._kind, changes)

    def store(self, values: dict, now: dict) -> bool:
        """Put *values* by key on flash and go by them from now on; *now* are all, by name. False when flash refused."""
        if values == self.values and not self.damaged and not self._slots.fresh:
            return True
        try:
            self._slots.write(cbor.dumps(values))
        except (OSError, ValueError) as error:
            log_error("settings: not stored, nothing changed", error)
            return False
        self.values, self._now = values, now
        self.damaged = False
        if self.on_change is not None:
            self.on_change()
        return True
