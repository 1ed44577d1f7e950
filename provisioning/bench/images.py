# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Images of MicroPython: which one a board is to have, where it is, and that it is the one. Nothing else is flashed."""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boards.bench import BenchTable
from provisioning.bench import download
from provisioning.bench.errors import NoImage

MAX_BYTES: Final = 64_000_000
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
UF2_BLOCK: Final = struct.Struct("<IIIIIIII476sI")
UF2_MAGIC: Final = (0x0A324655, 0x9E5D5157)
UF2_END: Final = 0x0AB16F30
UF2_FAMILIES: Final = {"RP2040": 0xE48BFF56, "RP2350": 0xE48BFF59}
UF2_HAS_FAMILY: Final = 0x2000


@dataclass(frozen=True)
class Image:
    """An image whose SHA-256 is right."""

    path: Path
    sha256: str


def cache_folder() -> Path:
    """Where images are kept: $LYKTA_IMAGES, else under the user's cache folder."""
    own = os.environ.get("LYKTA_IMAGES")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else cache / "lykta" / "images"


def find(name: str, bench: BenchTable, given: Path | None, sha256: str | None, release: str = "") -> Image:
    """The image for board *name*: a given file, else the pinned one from the cache, else downloaded. Raises NoImage.

    *release*: what MicroPython calls its builds for this board, for a person who has to bring one.
    """
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise NoImage("This is not a SHA-256: 64 hexadecimal digits.", value=sha256[:80])
    pinned = bench.image
    wanted = (sha256 or (pinned.sha256 if pinned else "")).lower()
    if not wanted:
        raise NoImage(
            "Nobody has said which MicroPython this board is to have.",
            value=name,
            reason="An image that is not the right one bricks the board, or carries somebody else's code.",
            next_step=f"{_bring(release)} and add --image FILE --sha256 HEX, or pin it in boards/*.toml",
        )
    if given is not None:
        return _checked(given, wanted)
    if pinned is None:
        raise NoImage("The image's file is not said.", value=name, next_step="add --image FILE")
    kept = cache_folder() / pinned.file
    if kept.exists():
        return _checked(kept, wanted)
    return _checked(download.fetch(pinned.file, pinned.url, kept, wanted, MAX_BYTES), wanted)


def _bring(release: str) -> str:
    if not release:
        return "bring the release for the board"
    return f"bring a release of {release} from https://micropython.org/download/{release}/"


def check_uf2(data: bytes, mcu: str) -> int:
    """Check that these are the blocks of one whole UF2 image for a processor; return its bytes. Raises NoImage.

    The format: 512-byte blocks with three magic numbers, numbered 0 to the total (UF2 specification, "File format").
    """
    if not data or len(data) % UF2_BLOCK.size:
        raise _no_uf2(f"{len(data)} bytes are not whole blocks of {UF2_BLOCK.size}")
    blocks = list(_uf2_blocks(data))
    total = blocks[0][1]
    if [number for number, _, _, _ in blocks] != list(range(total)):
        raise _no_uf2("blocks are missing, or stand twice")
    family = UF2_FAMILIES.get(mcu)
    other = {each for _, _, each, _ in blocks if each is not None and family is not None and each != family}
    if other:
        raise _no_uf2(f"it is for family {min(other):#010x}, not for {mcu}")
    return sum(size for _, _, _, size in blocks)


def _uf2_blocks(data: bytes) -> Iterator[tuple[int, int, int | None, int]]:
    for at in range(0, len(data), UF2_BLOCK.size):
        first, second, flags, _, size, number, total, family, _, end = UF2_BLOCK.unpack_from(data, at)
        if (first, second) != UF2_MAGIC or end != UF2_END or size > 476:
            raise _no_uf2(f"no block begins at byte {at}")
        yield number, total, family if flags & UF2_HAS_FAMILY else None, size


def _checked(path: Path, wanted: str) -> Image:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise NoImage(f"The image is longer than {MAX_BYTES} bytes.", value=path)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise NoImage(f"The image cannot be read: {error.strerror}.", value=path) from error
    if found != wanted:
        raise NoImage(
            "This is not the image that it should be.",
            value=f"{path}: SHA-256 {found}, not {wanted}",
            reason="It was cut short, is another release, or was changed.",
            next_step="bring the right file, and remove this one",
        )
    return Image(path, found)


def _no_uf2(why: str) -> NoImage:
    return NoImage(
        "This is no whole UF2 image for this board.",
        value=why,
        reason="The board's loader would take none of it, or half.",
        next_step="bring the .uf2 of the release for this board",
    )
