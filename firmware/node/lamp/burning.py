# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long a lamp has burned and how often it was switched, through power cuts."""

import struct

from firmware.node.log import log_error
from firmware.node.store import Slots

_RECORD = "<II"
_STORE_EVERY_S = 1800  # flash wear against what a power cut may cost


class Burning:
    """Seconds and switchings in total."""

    def __init__(self, files) -> None:
        self._slots = Slots(files, "burning")
        self.seconds = 0
        self.switchings = 0
        if self._slots.payload is not None and len(self._slots.payload) == 8:
            self.seconds, self.switchings = struct.unpack(_RECORD, self._slots.payload)
        self._stored = self.seconds

    def add(self, seconds: int, switchings: int) -> None:
        """Count on."""
        self.seconds += seconds
        self.switchings += switchings
        if self.seconds - self._stored >= _STORE_EVERY_S:
            self.store()

    def reset(self, hours: bool, switchings: bool) -> None:
        """Begin anew: another lamp hangs there."""
        self.seconds = 0 if hours else self.seconds
        self.switchings = 0 if switchings else self.switchings
        self.store()

    def store(self) -> None:
        """Put it on flash."""
        self._stored = self.seconds
        try:
            self._slots.write(struct.pack(_RECORD, self.seconds & 0xFFFFFFFF, self.switchings & 0xFFFFFFFF))
        except OSError as error:
            log_error("lamp: burning hours are not stored", error)
