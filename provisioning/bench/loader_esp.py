# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for an ESP32 in its loader, to rehearse `lykta flash` on: a port behind which esptool finds a chip."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Final

from boards.bench import BenchTable
from boards.virtual.esp_port import EspPort
from boards.virtual.esp_rom import CHIPS, EspRom
from provisioning.bench.errors import WrongBoard
from provisioning.bench.esp_image import CHIP_IDS
from provisioning.bench.images import Image

_HEAD: Final = struct.Struct("<BBBBIB3xHBHH4xB")
_RAM: Final = 0x3FFB0000
_SIZE_BYTES: Final = 300_000


@contextmanager
def waiting(folder: Path, name: str, bench: BenchTable) -> Iterator[EspPort]:
    """The port of a board that waits in its loader, with an erased flash. Raises WrongBoard for an unknown chip."""
    chip = CHIPS.get(bench.chip or "")
    if chip is None:
        raise WrongBoard(
            "This board's loader cannot be rehearsed.",
            value=f"{name}: {bench.chip}",
            reason=f"Stand-ins are there for {', '.join(CHIPS)}.",
            next_step="rehearse with --board heltec_v3",
        )
    folder.mkdir(parents=True)
    with EspPort(folder / "port", EspRom(chip, folder / "flash")) as port:
        yield port


def made_up(folder: Path, chip: str) -> Image:
    """An image that is whole and holds nothing: what a rehearsal flashes when nobody brings one."""
    data = bytes(256)
    out = _HEAD.pack(0xE9, 1, 2, 0x20, _RAM, 0xEE, CHIP_IDS[chip], 0, 0, 99, 1)
    out += struct.pack("<II", _RAM, len(data)) + data
    out += bytes(15 - len(out) % 16) + bytes([reduce(xor, data, 0xEF)])
    out += hashlib.sha256(out).digest()
    out += hashlib.shake_128(b"rehearsal").digest(_SIZE_BYTES - len(out))  # which does not shrink when it is packed
    path = folder / "rehearsal.bin"
    path.write_bytes(out)
    return Image(path, hashlib.sha256(out).hexdigest())
