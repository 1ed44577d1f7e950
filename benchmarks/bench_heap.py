# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How much memory the node needs: the shipped firmware at work on a virtual board, all sensors read, frames receipted.

Prints one JSON object. Bytes are those of the 64-bit Unix port, where a word is twice that of a microcontroller; what
the simulated ``machine`` module has of objects lies in the same heap and is counted against the node. ``used`` is what
is alive after a collection while readings flow; ``smallest_heap`` is the least in which the board still starts and
delivers. ``lora`` is the same for a board with a radio, in the virtual air and in a session; ``steps`` are single
steps of LoRaWAN: time as a multiple of AES-CMAC over 51 bytes on the same interpreter, and garbage. ``roles``: each
role with each link; over Bluetooth with a gateway near.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from boards.build import board_sources, build_tree  # noqa: E402
from boards.virtual.image import make_image  # noqa: E402
from tests.heap_probe import bluetooth_heap, radio_heap, serial_heap  # noqa: E402
from tests.node_rig import Rig, identity, identity_files  # noqa: E402

READINGS = 200
HEAP = 256 * 1024
KINDS = ("street_light", "waste_bin", "traffic")
STEP = 8 * 1024
STATUS = re.compile(rb"heap: (\d+) bytes used, (\d+) free")
BARE = "import gc\ngc.collect()\nprint('heap: %d bytes used, %d free' % (gc.mem_alloc(), gc.mem_free()))\n"


def source_tree(folder: Path) -> Path:
    """The firmware as source: what a developer copies to a board, compiled there at every start."""
    for source in board_sources():
        relative = Path("firmware") / source.relative_to(ROOT / "firmware")
        target = folder / (source.name if source.name in ("boot.py", "main.py") else relative)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return folder


def bare_tree(folder: Path) -> Path:
    """A board that only says how much is used before any firmware is loaded."""
    folder.mkdir()
    (folder / "main.py").write_text(BARE)
    return folder


async def run(image: Path, heap: int, readings: int) -> tuple[int, int]:
    """Return (bytes used, bytes free) at the last status line; MemoryError when the board did not manage."""
    fresh = image.with_name("running")  # every run begins as a board that never ran
    shutil.copyfile(image, fresh)
    async with Rig(fresh, heap_bytes=heap) as rig:
        await rig.until(
            lambda: (
                b"MemoryError" in rig.text
                or (len(rig.server.readings) >= readings and STATUS.search(rig.text) is not None)
            ),
            f"{readings} readings",
        )
        if b"MemoryError" in rig.text:
            raise MemoryError(rig.text.decode(errors="replace"))
        used, free = STATUS.findall(rig.text)[-1]
        return int(used), int(free)


def smallest_heap(image: Path) -> int:
    """Bisect to the least heap, in steps, with which the board starts and delivers."""
    low, high = 64 * 1024, HEAP  # low fails, high works
    while high - low > STEP:
        middle = (low + high) // 2 // STEP * STEP
        try:
            asyncio.run(run(image, middle, 40))
            high = middle
        except MemoryError:
            low = middle
    return high


def smallest_radio_heap(scratch: Path) -> int:
    """As ``smallest_heap``, from below, since each try takes a while: a join and a session in real time."""
    for size in range(176 * 1024, HEAP, STEP):
        try:
            radio_heap(scratch / f"radio-{size}", size)
        except (MemoryError, AssertionError):  # it says so, or it is too full to say anything
            continue
        return size
    return HEAP


def radio() -> dict[str, object]:
    """Measure boards with a radio."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        return {
            "used_with_the_test_port": radio_heap(scratch / "certifying", HEAP, {"certification": True}),
            "smallest_heap": smallest_radio_heap(scratch),
            "steps": steps(),
        }


def roles() -> dict[str, dict[str, int]]:
    """Measure each role with each link, at work in the heap of a virtual board."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        return {
            kind: {
                "serial": serial_heap(scratch / f"{kind}-serial", HEAP, kind),
                "lora": radio_heap(scratch / f"{kind}-lora", HEAP, kind=kind),
                "ble": bluetooth_heap(scratch / f"{kind}-ble", HEAP, "ble", kind=kind),
                "lora_ble": bluetooth_heap(scratch / f"{kind}-lora-ble", HEAP, "lora_ble", kind=kind),
            }
            for kind in KINDS
        }


def steps() -> dict[str, dict[str, float]]:
    """Return time and garbage of single steps under MicroPython."""
    environment = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    script = str(ROOT / "benchmarks" / "upy_lora_steps.py")
    command = [str(Path(sys.executable).with_name("micropython")), "-X", "heapsize=4m", script]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True).stdout
    rows = {name: (int(took_us), int(size)) for name, took_us, size in map(str.split, said.splitlines())}
    unit_us = rows.pop("cmac")[0]
    return {
        name: {"cmacs": round(took_us / unit_us, 1), "garbage_bytes": size} for name, (took_us, size) in rows.items()
    }


def image(folder: Path, tree: Path) -> Path:
    """A board whose firmware is *tree*."""
    folder.mkdir()
    make_image(folder / "image", tree, identity_files(identity(interval_ms=50)))
    return folder / "image"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        bytecode = build_tree(scratch / "mpy")
        compiled = image(scratch / "compiled", bytecode)
        source = image(scratch / "source", source_tree(scratch / "py"))
        bare = image(scratch / "bare", bare_tree(scratch / "empty"))
        used, free = asyncio.run(run(compiled, HEAP, READINGS))
        try:
            source_used: int | None = asyncio.run(run(source, HEAP, READINGS))[0]
        except MemoryError:  # the compiler's trees come on top, and may be too much
            source_used = None
        result = {
            "heap": HEAP,
            "readings": READINGS,
            "used": used,
            "free": free,
            "used_before_any_firmware": asyncio.run(run(bare, HEAP, 0))[0],
            "smallest_heap": smallest_heap(compiled),
            "used_when_compiled_on_the_board": source_used,
            "bytecode_on_flash": sum(path.stat().st_size for path in bytecode.rglob("*") if path.is_file()),
            "lora": radio(),
            "roles": roles(),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
