# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a board's file system has room for a node and a release of it, and what comes with that and readings beside.

What came by cable is a tree of files; the slot that a release fills is one file (`provisioning.bench.slot_file`). The
first release after a cable is the one that has least room. The board counts in the same way
(``firmware/node/update_stage.py``), and refuses a release before it is sent.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioning.bench.package import MANIFEST

if TYPE_CHECKING:
    from boards.schema import BoardFile
    from provisioning.bench.package import Package

ROOT_BLOCKS: Final = 3
"""The root's two, and /main.py."""
SMALL: Final = 8
"""Files of at most so small a part of a block stand beside their names."""
NAME_BYTES: Final = 16
READINGS_BYTES: Final = 65_536
RELEASE_BYTES: Final = 20_000
"""Of a release upon what runs."""
SPARE_BYTES: Final = 8192
"""For littlefs to move, and for the small records of a node."""


class Room(NamedTuple):
    """In blocks. `tree`, `file`: what a slot takes in either form. `left`: beside one of each, below zero when they do
    not fit; `needed`: for readings and the release."""

    flash: int
    tree: int
    file: int
    left: int
    needed: int

    @property
    def fits(self) -> bool:
        """Whether a release can be installed from afar."""
        return self.left >= self.needed

    def __str__(self) -> str:
        beside = f"{self.left} are left beside both" if self.left >= 0 else f"{-self.left} too few for both"
        return (
            f"{self.tree} of {self.flash} blocks for the node, {self.file} for the next: {beside}, "
            f"readings and release need up to {self.needed}"
        )


def room(board: BoardFile, package: Package, release_bytes: int) -> Room:
    """What a board has; some blocks more or less than littlefs really leaves."""
    return room_in(board.flash.bytes, board.flash.block_bytes, package, release_bytes)


def room_in(flash_bytes: int, block: int, package: Package, release_bytes: int = RELEASE_BYTES) -> Room:
    """What a file system of this size has, in blocks of so many bytes."""
    flash, tree, file = flash_bytes // block, tree_blocks(package, block), -(-len(package.slot_file) // block)
    needed = sum(-(-size // block) for size in (READINGS_BYTES, release_bytes, SPARE_BYTES))
    return Room(flash, tree, file, flash - ROOT_BLOCKS - tree - file, needed)


def tree_blocks(package: Package, block_bytes: int) -> int:
    """Blocks of littlefs that a slot takes which came by cable; small files stand beside their names, in pairs."""
    blocks = 0
    beside: Counter[str] = Counter()
    for path, data in {**package.content, MANIFEST: package.manifest}.items():
        for folder in PurePosixPath(path).parents:
            beside[str(folder)] += 0
        small = len(data) <= block_bytes // SMALL
        beside[str(PurePosixPath(path).parent)] += NAME_BYTES + len(path.rpartition("/")[2]) + small * len(data)
        blocks += 0 if small else -(-len(data) // block_bytes)
    return blocks + sum(2 * max(1, -(-each // (block_bytes * 3 // 8))) for each in beside.values())
