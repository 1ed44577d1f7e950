# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a city may change from afar, kept on flash: validated against the tables beside each kind, all or nothing.

Damaged settings are not guessed: all fall back to their defaults, ``damaged`` says so, and the role does what is safe.
"""

import binascii

from firmware.node.log import log, log_error
from firmware.node.store import Slots, decode
from firmware.wire import cbor, requests
from firmware.wire.errors import Malformed
from firmware.wire.shapes import fits


class Settings:
    """*modules* are those of ``kinds.controls(kind)``. ``on_change`` is called when values have changed."""

    def __init__(self, files, modules) -> None:
        self._slots = Slots(files, "settings")
        self._modules = modules
        self._values = {}  # type: dict[int, object]  # only what differs from the defaults, by key
        self.damaged = False
        self.on_change = None
        payload = self._slots.payload
        if payload is None:
            self.damaged = not self._slots.fresh
        elif payload:
            self._load(payload)
        if self.damaged:
            log("settings", "damaged; defaults hold until they are set again")

    def __getitem__(self, name: str):
        """Return the value of a setting by its name. KeyError for a name that no table has."""
        for entry in self._entries():
            if entry[0] == name:
                return self._values.get(entry[1], entry[3])
        raise KeyError(name)

    def crc(self) -> int:
        """Return a CRC-32 over all that differs from the defaults: equal settings, equal number."""
        return binascii.crc32(cbor.dumps(self._values))

    def changed(self) -> list[int]:
        """Return the keys that differ from their defaults."""
        return sorted(self._values)

    def value(self, key: int):
        """Return the value for a key. KeyError."""
        return self._values.get(key, self._entry(key)[3])

    def apply(self, changes: dict) -> "tuple[int, int | None]":
        """Take over values by key, all or none; return a status of wire.requests, and the key that was refused."""
        for key in changes:
            try:
                shape = self._entry(key)[2]
            except KeyError:
                return requests.UNKNOWN, key
            if not fits(shape, changes[key]):
                return requests.INVALID, key
        merged = dict(self._values)
        merged.update(changes)
        for entry in self._entries():
            if entry[1] in merged and merged[entry[1]] == entry[3]:
                del merged[entry[1]]
        refused = self._contradiction(merged)
        if refused is not None:
            return requests.CONTRADICTION, refused
        return self._store(merged), None

    def reset(self) -> int:
        """Go back to all defaults; return a status."""
        return self._store({})

    def _store(self, merged: dict) -> int:
        if merged != self._values or self.damaged or self._slots.fresh:
            try:
                self._slots.write(cbor.dumps(merged))
            except (OSError, ValueError) as error:
                log_error("settings: not stored, nothing changed", error)
                return requests.NOT_STORED
            self._values = merged
            self.damaged = False
            if self.on_change is not None:
                self.on_change()
        return requests.DONE

    def _load(self, payload: bytes) -> None:
        try:
            values = decode(payload)
        except Malformed:
            values = None
        self.damaged = not self._possible(values)
        if not self.damaged:
            self._values = values

    def _possible(self, values) -> bool:
        if not isinstance(values, dict):
            return False
        try:
            return all(fits(self._entry(key)[2], values[key]) for key in values) and self._contradiction(values) is None
        except KeyError:
            return False

    def _entries(self):
        for module in self._modules:
            for entry in module.SETTINGS:
                yield entry

    def _entry(self, key: int):
        for entry in self._entries():
            if entry[1] == key:
                return entry
        raise KeyError(key)

    def _contradiction(self, values: dict) -> "int | None":
        named = {entry[0]: values.get(entry[1], entry[3]) for entry in self._entries()}
        for module in self._modules:
            check = getattr(module, "contradiction", None)
            refused = None if check is None else check(named)
            if refused is not None:
                return refused
        return None
