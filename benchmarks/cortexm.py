# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node on an emulated Cortex-M3 with 128 KB of RAM: 32-bit heap figures. Run by `make cortexm-test`.

QEMU runs MicroPython (tools/cortexm.sh), with the shipped bytecode in a littlefs image behind its heap: what a node
loads, it loads into the heap. Exits 1 when the trial fails or when heap, stack and static data are more than 128 KB.
"""

import json
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from boards import build  # noqa: E402
from boards.schema import load_board  # noqa: E402
from boards.virtual.image import make_image  # noqa: E402
from firmware.wire.session import Session  # noqa: E402
from gateway.network.aes import ecb  # noqa: E402

ELF = ROOT / "build" / "cortexm" / "firmware.elf"
SIZES = ELF.with_name("size.txt")
FLASH_AT = 0x21000000  # 16 MB of PSRAM on the AN385 image, outside the microcontroller's memory
RAM_BYTES = 128 * 1024
STACK_BYTES = 10240  # the limit that the port sets itself
TIMEOUT_S = 240
BOOT = """
import sys, uctypes, vfs
class Flash:
    def readblocks(self, n, buf, off=0):
        buf[:] = uctypes.bytearray_at(%d + n * 4096 + off, len(buf))
    def writeblocks(self, n, buf, off=0):
        uctypes.bytearray_at(%d + n * 4096 + off, len(buf))[:] = buf
    def ioctl(self, op, arg):
        return {4: %d, 5: 4096}.get(op, 0)
vfs.mount(vfs.VfsLfs2(Flash(), progsize=256, readsize=256), "/")
sys.path.append("/")
import trial
"""


def tree(folder: Path) -> Path:
    """The node's bytecode, and the trial's."""
    out = build.build_tree(folder / "tree")
    compiler = build.compiler()
    for name in ("machine", "trial"):
        source = ROOT / "boards" / "cortexm" / f"{name}.py"
        subprocess.run([str(compiler), "-O2", "-o", str(out / f"{name}.mpy"), str(source)], check=True, timeout=60)
    for name in build.ROOT_FILES:
        (out / name).unlink()
    return out


def frames() -> bytes:
    """Three uplinks and three downlinks as the host seals them, in hex."""
    device = Session(ecb, 0x26000001, b"n" * 16, b"a" * 16)
    network = Session(ecb, 0x26000001, b"n" * 16, b"a" * 16)
    sealed = [device.seal_uplink(1, b"reading %d" % number) for number in range(3)]
    sealed += [network.seal_downlink(4, b"receipt %d" % number) for number in range(3)]
    return "\n".join(phy.hex() for phy in sealed).encode()


def static_bytes() -> int:
    """Bytes of .data and .bss, the heap among them."""
    found = dict(re.findall(r"^\.(data|bss)\s+(\d+)", SIZES.read_text(), re.M))
    return sum(int(size) for size in found.values())


def ended(said: str) -> bool:
    """Whether the raw prompt has come back, with or without an error."""
    return "\x04>" in said or "\x04\x04" in said


def run(image: Path) -> str:
    """Return what the trial printed."""
    board = load_board("virtual")
    boot = BOOT % (FLASH_AT, FLASH_AT, board.flash.bytes // board.flash.block_bytes)
    command = ["qemu-system-arm", "-machine", "mps2-an385", "-nographic", "-monitor", "null", "-semihosting"]
    command += [
        "-serial",
        "stdio",
        "-kernel",
        str(ELF),
        "-device",
        f"loader,file={image},addr={FLASH_AT:#x},force-raw=on",
    ]
    said = b""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        assert qemu.stdin and qemu.stdout
        try:
            deadline = time.monotonic() + TIMEOUT_S
            waiting = [b"\x01", *(boot.encode()[i : i + 16] for i in range(0, len(boot), 16)), b"\x04"]
            while time.monotonic() < deadline and not ended(said.decode(errors="replace")):
                if waiting and (b">>> " in said or b"raw REPL" in said):
                    qemu.stdin.write(waiting.pop(0))  # in small pieces: the UART has no buffer
                    qemu.stdin.flush()
                    time.sleep(0.02)
                if select.select([qemu.stdout], [], [], 0.05)[0]:
                    said += qemu.stdout.read1(4096)  # type: ignore[attr-defined]
        finally:
            qemu.kill()
    return said.decode(errors="replace")


def main() -> int:
    """Measure, print, judge."""
    if not ELF.is_file():
        print("no emulated board; run: make cortexm", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bytecode = tree(folder)
        make_image(folder / "image", bytecode, {"/wire.txt": frames()})
        said = run(folder / "image")
        if not ended(said):  # no verdict in time: a busy machine
            said = run(folder / "image")
    heap = {
        what: [int(used), int(free)]
        for what, used, free in re.findall(r"heap after (.+?): (\d+) used, (\d+) free", said)
    }
    total = static_bytes() + STACK_BYTES
    print(json.dumps({"ram_bytes": total, "of": RAM_BYTES, "heap_used_free_bytes": heap}, indent=2))
    if "trial: ok" not in said or total > RAM_BYTES:
        print(said, file=sys.stderr)
        print("the node does not fit a Cortex-M with 128 KB of RAM", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
