# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Flash that loses power: what ``firmware.node.files.Files`` is to a board, with a cut at any operation."""

import errno
import random


class PowerCut(BaseException):
    """The supply is gone. A BaseException: no firmware code may catch it and go on."""


class TornFiles:
    """Files in memory. After *budget* writing operations the next one is torn at a random byte and the power goes.

    *atomic*: a replaced file is the old or the new one, as littlefs promises; else any mixture may be left.
    """

    def __init__(self, rng: random.Random, atomic: bool = False) -> None:
        self.content: dict[str, bytes] = {}
        self.budget: int | None = None
        self.writes = 0
        self.full = False
        self._rng = rng
        self._atomic = atomic

    def read(self, name: str) -> bytes | None:
        return self.content.get(name)

    def read_at(self, name: str, offset: int, size: int) -> bytes:
        return self.content[name][offset : offset + size]

    def size(self, name: str) -> int:
        return len(self.content[name])

    def write(self, name: str, data: bytes) -> None:
        if self._power():
            self.content[name] = data
            return
        if not self._atomic:
            cut = self._rng.randrange(len(data) + 1)
            self.content[name] = data[:cut] + self.content.get(name, b"")[cut : self._rng.randrange(len(data) + 1)]
        elif self._rng.random() < 0.5:
            self.content[name] = data
        raise PowerCut

    def append(self, name: str, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC)
        if self._power():
            self.content[name] = self.content.get(name, b"") + data
            return
        part = len(data) * (self._rng.random() < 0.5) if self._atomic else self._rng.randrange(len(data) + 1)
        if part or self._rng.random() < 0.5:  # a new file may be there, with nothing in it yet
            self.content[name] = self.content.get(name, b"") + data[:part]
        raise PowerCut

    def remove(self, name: str) -> None:
        if self._power() or self._rng.random() < 0.5:
            self.content.pop(name, None)
            self.full = False
        if self.budget == -1:
            raise PowerCut

    def names(self, folder: str) -> list[str]:
        return sorted(name.split("/", 1)[1] for name in self.content if name.startswith(folder + "/"))

    def rot(self, name: str) -> None:
        """Flip bits in one byte."""
        data = bytearray(self.content[name])
        if data:
            data[self._rng.randrange(len(data))] ^= self._rng.randrange(1, 256)
            self.content[name] = bytes(data)

    def _power(self) -> bool:
        self.writes += 1
        if self.budget is None:
            return True
        self.budget -= 1
        return self.budget >= 0
