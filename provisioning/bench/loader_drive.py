# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a board in its loader, to rehearse `lykta flash` on: a folder that is a drive until it has an image.

It does what the loader of an RP2 does: it takes the blocks of a UF2 file in any order, and restarts, so that the drive
goes away, when it has all of them. It runs nothing of the image.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from boards.bench import BenchTable, drive_mark
from provisioning.bench.errors import WrongBoard
from provisioning.bench.images import UF2_BLOCK, UF2_END, UF2_FAMILIES, UF2_HAS_FAMILY, UF2_MAGIC, Image

_FLASH_START: Final = 0x10000000
_PAYLOAD_BYTES: Final = 256
_BLOCKS: Final = 64
_LOOK_S: Final = 0.05
_TOTAL: Final = struct.Struct("<I")
_TOTAL_AT: Final = 24


@contextmanager
def waiting(folder: Path, name: str, bench: BenchTable) -> Iterator[Path]:
    """The drive of a board that waits in its loader. Raises WrongBoard for one that has no drive."""
    if bench.method != "drive":
        raise WrongBoard(
            "This board's loader cannot be rehearsed.",
            value=name,
            reason=f"{bench.method} talks to a ROM that nothing here imitates; a drive is a folder.",
            next_step="rehearse with --board pico_w_waveshare or heltec_v3",
        )
    mark, text = drive_mark(bench)
    folder.mkdir(parents=True)
    (folder / mark).write_text(f"{text}\n", "ascii")
    ended = threading.Event()
    loader = threading.Thread(target=_take, args=(folder, ended), daemon=True)
    loader.start()
    try:
        yield folder
    finally:
        ended.set()
        loader.join()


def made_up(folder: Path, mcu: str) -> Image:
    """An image that is whole and holds nothing: what a rehearsal flashes when nobody brings one."""
    family = UF2_FAMILIES.get(mcu, UF2_FAMILIES["RP2040"])
    blocks = [
        UF2_BLOCK.pack(
            *UF2_MAGIC,
            UF2_HAS_FAMILY,
            _FLASH_START + number * _PAYLOAD_BYTES,
            _PAYLOAD_BYTES,
            number,
            _BLOCKS,
            family,
            bytes(476),
            UF2_END,
        )
        for number in range(_BLOCKS)
    ]
    path = folder / "rehearsal.uf2"
    path.write_bytes(b"".join(blocks))
    return Image(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _take(folder: Path, ended: threading.Event) -> None:
    while not ended.wait(_LOOK_S):
        if any(_is_whole(path) for path in folder.glob("*.uf2")):
            shutil.rmtree(folder)
            return


def _is_whole(path: Path) -> bool:
    data = path.read_bytes()
    if len(data) < UF2_BLOCK.size:
        return False
    total: int = _TOTAL.unpack_from(data, _TOTAL_AT)[0]
    return len(data) >= total * UF2_BLOCK.size
