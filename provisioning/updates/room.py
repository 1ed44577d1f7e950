# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a board's file system has room for two copies of a node, and a release and readings beside them.

The board counts in the same way (``firmware/node/update_stage.py``), and refuses a release before it is sent.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioning.bench.package import MANIFEST

if TYPE_CHECKING:
    from boards.schema import BoardFile
    from provisioning.bench.package import Package

ROOT_BLOCKS: Final = 2
SMALL: Final = 8
"""Files of at most so small a part of a block stand beside their names."""
NAME_BYTES: Final = 16
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
    """What a board has; some blocks more or less than littlefs really leaves."""
    block = board.flash.block_bytes
    flash, copy = board.flash.bytes // block, copy_blocks(package, block)
    needed = sum(-(-size // block) for size in (READINGS_BYTES, release_bytes, SPARE_BYTES))
    return Room(flash, copy, flash - ROOT_BLOCKS - 2 * copy, needed)


def copy_blocks(package: Package, block_bytes: int) -> int:
    """How many blocks of littlefs a slot takes; small files stand beside their names, in pairs of blocks."""
    blocks = 0
    beside: Counter[str] = Counter()
    for path, data in {**package.content, MANIFEST: package.manifest}.items():
        for folder in PurePosixPath(path).parents:
            beside[str(folder)] += 0
        small = len(data) <= block_bytes // SMALL
        beside[str(PurePosixPath(path).parent)] += NAME_BYTES + len(path.rpartition("/")[2]) + small * len(data)
        blocks += 0 if small else -(-len(data) // block_bytes)
    return blocks + sum(2 * max(1, -(-each // (block_bytes * 3 // 8))) for each in beside.values())
