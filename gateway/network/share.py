# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which of several workers a device belongs to. Everything follows from its DevEUI; its address leads back to it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NWK_ADDR_BITS = 25


def of_device(dev_eui: bytes, count: int) -> int:
    """Return the worker of a device, from 0. The same in every version: it decides where a device's state lies."""
    return zlib.crc32(dev_eui) % count


def of_address(dev_addr: int, count: int) -> int:
    """Return the worker of an address that a worker gave, from 0."""
    return dev_addr % count


@dataclass(frozen=True, slots=True)
class Share:
    """The devices of one worker. The default is all of them: there is one process."""

    count: int = 1
    index: int = 0
    """From 0."""
    moved: frozenset[int] = field(default=frozenset())
    """Addresses that would be this worker's, of sessions that another one has: from before the devices were divided."""

    def has(self, dev_eui: bytes) -> bool:
        """Tell whether a device belongs here."""
        return self.count == 1 or of_device(dev_eui, self.count) == self.index

    def address(self, dev_addr: int) -> int:
        """Return an address of this worker's next to *dev_addr*, in the same network."""
        if self.count == 1:
            return dev_addr
        found = dev_addr - dev_addr % self.count + self.index
        if found >> _NWK_ADDR_BITS < dev_addr >> _NWK_ADDR_BITS:
            found += self.count
        elif found >> _NWK_ADDR_BITS > dev_addr >> _NWK_ADDR_BITS:
            found -= self.count
        return found

    def free(self, dev_addr: int) -> bool:
        """Tell whether frames with this address would come here."""
        return self.count == 1 or (of_address(dev_addr, self.count) == self.index and dev_addr not in self.moved)

    def speaks(self, digest: bytes) -> bool:
        """Tell whether this worker answers a message that names no device; exactly one does."""
        return self.count == 1 or zlib.crc32(digest) % self.count == self.index

    def all_of(self, dev_euis: Sequence[bytes]) -> frozenset[int]:
        """Return the workers that some devices belong to."""
        return frozenset(of_device(dev_eui, self.count) for dev_eui in dev_euis)


ALL = Share()
"""There is one process."""
