# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Each role with a LoRa radio on the emulated Cortex-M3, all code frozen into flash. Run by `make cortexm-frozen`.

For boards whose RAM holds no code: what a node makes while it runs lies in a heap of as many bytes as boards/facts.py
says, and the code adds so much to the interpreter's image. The trial and its `machine` module are frozen too. Exits 1
when one does not run in that heap.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import bench_bytecode, cortexm  # noqa: E402
from boards import build  # noqa: E402
from boards.facts import FROZEN_NEEDED_BYTES  # noqa: E402
from boards.virtual.image import make_image  # noqa: E402

OUT = ROOT / "build" / "cortexm" / "frozen"
ELF = cortexm.ELF.with_name("frozen.elf")
MANIFEST = 'include("$(MPY_DIR)/extmod/asyncio")\nfreeze_mpy("{tree}")\n'
BUILD_S = 900


def freeze(kind: str) -> None:
    """Build the interpreter with the code of a role in it. CalledProcessError."""
    known = bench_bytecode.modules()
    board = bench_bytecode.BOARDS[kind]
    first = bench_bytecode.begin(kind, "lora", board)
    first += [f"firmware.wire.kinds.{name}_controls" for name in (kind, "common")]
    whole = bench_bytecode.closure(first, bench_bytecode.loadable(known, board, "lora"), True)
    tree = OUT / "tree"
    build.build_tree(tree)
    small, _ = build.smaller_sources(known)
    compiler = build.compiler()
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        path.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        for name in sorted(whole):
            shown = known[name].relative_to(ROOT)  # a frozen module is found by this
            target = (tree / shown).with_suffix(".mpy")
            build.compile_text(compiler, Path(scratch), small[name], target, shown.as_posix(), lines=False)
        for name in ("machine", "trial"):
            text = (ROOT / "boards" / "cortexm" / f"{name}.py").read_text("utf-8")
            build.compile_text(compiler, Path(scratch), text, tree / f"{name}.mpy", f"{name}.py", lines=False)
    (OUT / "manifest.py").write_text(MANIFEST.format(tree=tree))
    subprocess.run([str(ROOT / "tools" / "cortexm.sh"), "frozen"], check=True, timeout=BUILD_S, capture_output=True)


def flash_bytes(elf: Path) -> int:
    """Bytes of an image's code and constants."""
    command = ["arm-none-eabi-size", "-A", str(elf)]
    said = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout
    return sum(int(size) for size in re.findall(r"^\.(?:text|data)\s+(\d+)", said, re.M))


def measure(kind: str, folder: Path) -> dict[str, object]:
    """Run a role; return bytes of heap and of flash, and whether it ran to its end."""
    freeze(kind)
    (folder / "empty").mkdir(exist_ok=True)
    make_image(folder / "image", folder / "empty", cortexm.given(kind, "lora"))
    good, heap = cortexm.tried(folder / "image", ELF, FROZEN_NEEDED_BYTES[kind])
    flash = flash_bytes(ELF) - flash_bytes(cortexm.ELF)
    return {"runs_in": FROZEN_NEEDED_BYTES[kind] if good else None, "flash_bytes": flash, "heap_used_free_bytes": heap}


def main() -> int:
    """Measure, print, judge."""
    with tempfile.TemporaryDirectory() as scratch:
        found = {kind: measure(kind, Path(scratch)) for kind in sys.argv[1:] or cortexm.KINDS}
    print(json.dumps(found, indent=2))
    return 0 if all(row["runs_in"] for row in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
