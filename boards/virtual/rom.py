# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The read-only memory of a virtual board: what a port has in C (``machine``, ``time`` …) is bytecode outside the heap.

MicroPython runs it in place, from a ROMFS image (docs.micropython.org, "ROMFS"), so that the heap of a virtual board is
the firmware's: only objects of the simulated hardware lie in it, no code of theirs.
"""

import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from boards.build import compile_text, compiler

HAL = Path(__file__).parent / "hal"
START = "start.py"
"""Run as a script, from the host's file system; all else is found in the image."""
_NOT_THERE = (START, "image_tool.py")
_MAGIC = b"\xd2\xcd\x31"
_VERBATIM, _FILE = 2, 5
_NUMBER = re.compile(r"^([A-Z][A-Z0-9_]*) = const\((0x[0-9A-F]+)\)$", re.MULTILINE)


@lru_cache(maxsize=1)
def image() -> bytes:
    """Return the image, made once in a process. BuildError when the compiler is not installed."""
    sources = {path.name: path.read_text("utf-8") for path in sorted(HAL.glob("*.py")) if path.name not in _NOT_THERE}
    numbers = dict(_NUMBER.findall(sources["hal.py"]))
    sources["hal.py"] = _NUMBER.sub("", sources["hal.py"])
    binary = compiler()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool:

        def code(name: str) -> tuple[str, bytes]:
            target = Path(scratch, f"{name}.mpy")
            compile_text(binary, Path(scratch), _with(numbers, name, sources[name]), target, name)
            return name.replace(".py", ".mpy"), target.read_bytes()

        return _filesystem(dict(pool.map(code, sources)))


def _with(numbers: dict[str, str], name: str, source: str) -> str:
    """Put the protocol's numbers in where they are used: as names they would lie in the heap. Lines stay."""
    prefix = "" if name == "hal.py" else r"hal\."
    return re.sub(rf"\b{prefix}({'|'.join(numbers)})\b", lambda found: numbers[found[1]], source)


def _filesystem(files: dict[str, bytes]) -> bytes:
    records = b"".join(
        _record(_FILE, _uint(len(name)) + name.encode() + _record(_VERBATIM, files[name])) for name in files
    )
    size = _uint(len(records))
    if (len(_MAGIC) + len(size) + len(records)) % 2:
        size = b"\x80" + size
    return _MAGIC + size + records


def _record(kind: int, payload: bytes) -> bytes:
    return _uint(kind) + _uint(len(payload)) + payload


def _uint(value: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have bit 7 set."""
    encoded = bytes((value & 0x7F,))
    while value := value >> 7:
        encoded = bytes((0x80 | value & 0x7F,)) + encoded
    return encoded
