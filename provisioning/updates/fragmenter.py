# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Cuts a block into the fragments of LoRaWAN TS004, and makes as many coded ones as are needed."""

from __future__ import annotations

from firmware.wire import fragments
from provisioning.errors import BoardError


class Fragmenter:
    """A block in fragments of `size` bytes; `block` is padded with zeros to whole fragments."""

    def __init__(self, block: bytes, size: int) -> None:
        self.size = size
        self.count = -(-len(block) // size)
        if not 1 <= self.count <= fragments.MAX_FRAGMENTS:
            raise BoardError(
                "This block cannot be sent in fragments.",
                value=f"{len(block)} bytes by {size}: {self.count} fragments, at most {fragments.MAX_FRAGMENTS}",
            )
        self.padding = self.count * size - len(block)
        self.block = block + bytes(self.padding)

    def fragment(self, number: int) -> bytes:
        """Fragment `number`, from 1: of the block, then coded ones without end."""
        if number <= self.count:
            return self._plain(number - 1)
        coded = bytearray(self.size)
        for at in fragments.parity_line(number - self.count, self.count):
            fragments.xor(coded, self._plain(at))
        return bytes(coded)

    def _plain(self, at: int) -> bytes:
        return self.block[at * self.size : (at + 1) * self.size]
