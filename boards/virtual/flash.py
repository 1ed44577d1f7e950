# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""NOR flash over an image file: erase sets a block to 0xFF, a program only clears bits, power can fail in the middle.

Every operation reaches the file before it is answered (pwrite), so that what a killed process had done stays done.
"""

import fcntl
import os
import random
from collections.abc import Callable
from pathlib import Path

from boards.errors import ImageBusyError, ImageError
from boards.virtual.protocol import Misuse


def open_locked(image: Path) -> int:
    """File descriptor of an existing image, locked for this process alone; ImageError, ImageBusyError."""
    try:
        fd = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise ImageError(
            f"cannot open the flash image {image}: {e.strerror}. A board needs its flash to start. "
            f"Make one with: python -m boards.virtual make {image} --firmware DIR"
        ) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(fd)
        raise ImageBusyError(
            f"the flash image {image} is in use by another board or tool. Two boards on one flash would destroy its "
            f"file system. Stop the other one, or copy the image."
        ) from e
    return fd


def close_locked(fd: int) -> None:
    """Let go of an image. A process that was just forked may hold a copy of the descriptor, and with it the lock."""
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


class NorFlash:
    """The board's flash chip; sizes in bytes. `rng` decides what a cut operation leaves behind."""

    def __init__(self, image: Path, size: int, block: int, program: int, rng: random.Random) -> None:
        self.fd = open_locked(image)
        found = os.fstat(self.fd).st_size
        if found != size:
            close_locked(self.fd)
            raise ImageError(
                f"the flash image {image} has {found} bytes, the board's flash has {size}. It is not an image of this "
                f"board, or it was cut short. Make a new one with: python -m boards.virtual make"
            )
        self.image, self.size, self.block, self.page = image, size, block, program
        self.operations = 0
        self.erases = [0] * (size // block)
        self._rng = rng
        self._cut_in: int | None = None
        self._on_cut: Callable[[], None] | None = None

    def close(self) -> None:
        """Release the image."""
        close_locked(self.fd)

    def cut_after(self, operations: int, on_cut: Callable[[], None]) -> None:
        """Cut the power in the middle of the `operations`-th program or erase from now (1 = the next)."""
        self._cut_in, self._on_cut = operations, on_cut

    def program(self, address: int, data: bytes) -> None:
        """Clear bits of whole pages; Misuse if out of range, unaligned, or if a bit would have to be set."""
        if address % self.page or len(data) % self.page or not data or address + len(data) > self.size:
            raise Misuse(
                f"flash program of {len(data)} bytes at {address:#x}: must be whole {self.page}-byte pages "
                f"inside {self.size} bytes"
            )
        old = os.pread(self.fd, len(data), address)
        wanted = int.from_bytes(data)
        if wanted & int.from_bytes(old) != wanted:
            raise Misuse(f"flash program at {address:#x} wants to set bits that are 0: erase the block first")
        if self._cut_now():
            done = self._rng.randrange(len(data))
            torn = old[done] & (data[done] | self._rng.randrange(256))
            self._interrupted(address, data[:done] + bytes([torn]))
        else:
            os.pwrite(self.fd, data, address)

    def erase(self, address: int) -> None:
        """Set one block to 0xFF; Misuse if it is not a block's address."""
        if address % self.block or not 0 <= address < self.size:
            raise Misuse(f"flash erase at {address:#x}: not the start of a {self.block}-byte block of this flash")
        self.erases[address // self.block] += 1
        if self._cut_now():
            # A half erased block reads as anything: each byte old, erased, or somewhere between.
            old = os.pread(self.fd, self.block, address)
            self._interrupted(address, bytes(b | self._rng.choice((0, 0xFF, self._rng.randrange(256))) for b in old))
        else:
            os.pwrite(self.fd, b"\xff" * self.block, address)

    def _cut_now(self) -> bool:
        self.operations += 1
        if self._cut_in is None:
            return False
        self._cut_in -= 1
        return self._cut_in <= 0

    def _interrupted(self, address: int, left: bytes) -> None:
        os.pwrite(self.fd, left, address)
        self._cut_in, on_cut = None, self._on_cut
        if on_cut is not None:
            on_cut()
