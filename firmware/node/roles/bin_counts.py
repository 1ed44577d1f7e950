# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a bin counts over its life: lid openings and emptyings. Kept on flash, a few openings behind."""

import struct

from firmware.node.store import Slots

_RECORD = "<II"
_STORE_EVERY = 16  # openings: flash wear against what a power cut may cost


class BinCounts:
    """*files* is files.Files or alike."""

    def __init__(self, files) -> None:
        self._slots = Slots(files, "bin")
        self.openings = 0
        self.emptyings = 0
        if self._slots.payload is not None and len(self._slots.payload) == 8:
            self.openings, self.emptyings = struct.unpack(_RECORD, self._slots.payload)
        self._stored = self.openings

    def opened(self, count: int) -> None:
        """The lid was opened so often."""
        self.openings += count
        if self.openings - self._stored >= _STORE_EVERY:
            self._store()

    def emptied(self) -> None:
        """The bin was emptied."""
        self.emptyings += 1
        self._store()

    def reset(self) -> None:
        """Begin both from 0."""
        self.openings = self.emptyings = 0
        self._store()

    def _store(self) -> None:
        self._slots.write(struct.pack(_RECORD, self.openings & 0xFFFFFFFF, self.emptyings & 0xFFFFFFFF))
        self._stored = self.openings
