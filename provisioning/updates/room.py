# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a board's file system has room for two copies of a node, and a release and readings beside them.

Counted as a block at least for each file: littlefs needs somewhat less, since it keeps very small ones beside their
names. The board itself counts exactly (``firmware/node/update_stage.py``), and refuses a release before it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from boards.schema import BoardFile
    from provisioning.bench.package import Package

ROOT_BLOCKS: Final = 2
READINGS_BYTES: Final = 65_536
SPARE_BYTES: Final = 8192
"""For littlefs to move, and for the small records of a node."""


class Room(NamedTuple):
    """In blocks. `left`: beside two copies, below zero when they do not fit; `needed`: for readings and the release."""

    flash: int
    copy: int
    left: int
    needed: int

    @property
    def fits(self) -> bool:
        """Whether a release can be installed from afar."""
        return self.left >= self.needed

    def __str__(self) -> str:
        beside = f"{self.left} are left beside both" if self.left >= 0 else f"{-self.left} too few for both"
        return (
            f"two copies of {self.copy} of {self.flash} blocks: {beside}, readings and release need up to {self.needed}"
        )


def room(board: BoardFile, package: Package, release_bytes: int) -> Room:
    """What a board has; a few blocks less than littlefs really leaves."""
    block = board.flash.block_bytes

    def blocks(size: int) -> int:
        return -(-size // block)

    flash = board.flash.bytes // block
    copy = sum(blocks(len(data)) for data in (*package.content.values(), package.manifest))
    needed = blocks(READINGS_BYTES) + blocks(release_bytes) + blocks(SPARE_BYTES)
    return Room(flash, copy, flash - ROOT_BLOCKS - 2 * copy, needed)
