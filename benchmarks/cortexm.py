# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Each role on an emulated Cortex-M3 with 128 KB of RAM: 32-bit heap figures. Run by `make cortexm-test`.

QEMU runs MicroPython (tools/cortexm.sh), with the shipped bytecode in a littlefs image behind its heap: what a node
loads, it loads into the heap. Each role runs in 128 KB of RAM with a link whose other end is silent, and with a LoRa
radio that joins and sends in the heap that boards/facts.py asks of a board. Arguments are kinds, all of them without
one. Exits 1 when a trial fails or when heap, stack and static data are more than 128 KB.
"""

import json
import re
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402

from boards import build  # noqa: E402
from boards.facts import HEAP_NEEDED_BYTES  # noqa: E402
from boards.schema import load_board  # noqa: E402
from boards.virtual.image import make_image  # noqa: E402
from firmware.wire import cbor  # noqa: E402
from firmware.wire.joining import encode_join_accept  # noqa: E402
from firmware.wire.session import Session  # noqa: E402
from gateway.network.aes import ecb  # noqa: E402

ELF = ROOT / "build" / "cortexm" / "firmware.elf"
SIZES = ELF.with_name("size.txt")
LARGE = ELF.with_name("large.elf")  # the same with a heap of 1 MB, of which a trial is left as much as a board has
NO_LIMIT = 1 << 30
FLASH_AT = 0x21000000  # 16 MB of PSRAM on the AN385 image, outside the microcontroller's memory
RAM_BYTES = 128 * 1024
STACK_BYTES = 10240  # the limit that the port sets itself
TIMEOUT_S = 240
UART = {"id": 1, "tx": 6, "rx": 7}
I2C = {"id": 0, "scl": 4, "sda": 5}
KINDS: dict[str, dict[str, Any]] = {
    "street_light": {
        "board": {"lamp_pin": 1, "dim_pin": 2, "photocell_adc": 3, "i2c": I2C, "meter_uart": UART},
        "settings": [{29: 1500, 40: [31, [[1, -10, 80], [0, 60, 40], [2, 5, 0]]]}, {29: -1}, "fade_ms"],
        "readings": 40,
    },
    "waste_bin": {
        "board": {
            "i2c": I2C,
            "sensors": [
                {"chip": "a02yyuw", "uart": UART, "power_pin": 8},
                {"chip": "vl53l1x", "address": 0x29},
                {"chip": "lis3dh", "address": 0x19, "interrupt_pin": 9},
                {"chip": "ntc_adc", "adc": 10},
                {"chip": "battery_adc", "adc": 11, "full_scale_mv": 5000},
            ],
        },
        "settings": [{20: 900, 25: 60}, {20: 1}, "height_mm"],
        "readings": 6,
    },
    "traffic": {
        "board": {"sensors": [{"chip": "ops243", "uart": UART}]},
        "settings": [{20: 30, 23: 3}, {20: 1000}, "limit_kmh"],
        "readings": 20,
    },
}
LINKS = ("deaf", "lora")
RADIO = {"chip": "sx126x", "spi": {"id": 1, "hz": 8000000}, "cs": 20, "busy": 21, "dio1": 22, "reset": 23}
APP_KEY = b"0123456789abcdef"  # as trial.py has it
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
import gc
gc.collect()
kept = gc.mem_alloc()
ballast = bytearray(max(0, kept + gc.mem_free() - %d))
print("ballast: %%d" %% (gc.mem_alloc() - kept))
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


def given(kind: str, link: str) -> dict[str, bytes]:
    """The files from which the trial takes what to do."""
    what = {"kind": kind, "link": link, **KINDS[kind]}
    if link == "lora":
        device_class = "C" if kind == "street_light" else "A"
        what["board"] = {**what["board"], "radio": RADIO, "lorawan": {"class": device_class}}
    cipher = Cipher(algorithms.AES(APP_KEY), modes.ECB())  # noqa: S305  what LoRaWAN is made of
    accept = encode_join_accept(cipher.encryptor().update, cipher.decryptor().update, 1, 1, 0x26000001)
    return {"/wire.txt": frames(), "/kind.cbor": cbor.dumps(what), "/join.bin": accept}


def static_bytes() -> int:
    """Bytes of .data and .bss, the heap among them."""
    found = dict(re.findall(r"^\.(data|bss)\s+(\d+)", SIZES.read_text(), re.M))
    return sum(int(size) for size in found.values())


def ended(said: str) -> bool:
    """Whether the raw prompt has come back, with or without an error."""
    return "\x04>" in said or "\x04\x04" in said


def run(image: Path, elf: Path, heap_bytes: int) -> str:
    """Return what the trial printed; *heap_bytes* of the interpreter's heap are left to it."""
    board = load_board("virtual")
    boot = BOOT % (FLASH_AT, FLASH_AT, board.flash.bytes // board.flash.block_bytes, heap_bytes)
    command = ["qemu-system-arm", "-machine", "mps2-an385", "-nographic", "-monitor", "null", "-semihosting"]
    command += [
        "-serial",
        "stdio",
        "-kernel",
        str(elf),
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


def tried(image: Path, elf: Path, heap_bytes: int) -> tuple[bool, dict[str, list[int]]]:
    """Run a trial; return whether it went well, and bytes used and free at each moment. Prints what went wrong."""
    said = run(image, elf, heap_bytes)
    if not ended(said):  # no verdict in time: a busy machine
        said = run(image, elf, heap_bytes)
    ballast = int((re.findall(r"ballast: (\d+)", said) or ["0"])[0])
    found = re.findall(r"heap after (.+?): (\d+) used, (\d+) free", said)
    good = "trial: ok" in said
    if not good:
        print(said, file=sys.stderr)
    return good, {moment: [int(used) - ballast, int(free)] for moment, used, free in found}


def main() -> int:
    """Measure, print, judge."""
    if not (ELF.is_file() and LARGE.is_file()):
        print("no emulated board; run: make cortexm", file=sys.stderr)
        return 1
    total = static_bytes() + STACK_BYTES
    heaps = {}
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bytecode = tree(folder)
        for kind, link in [(kind, link) for kind in sys.argv[1:] or KINDS for link in LINKS]:
            make_image(folder / "image", bytecode, given(kind, link))
            what = kind if link == "deaf" else f"{kind} on {link}"
            where = (ELF, NO_LIMIT) if link == "deaf" else (LARGE, HEAP_NEEDED_BYTES[kind])
            good, heaps[what] = tried(folder / "image", *where)
            failed += [] if good else [what]
    print(json.dumps({"ram_bytes": total, "of": RAM_BYTES, "heap_used_free_bytes": heaps}, indent=2))
    if total > RAM_BYTES:
        print(f"heap, stack and static data are {total} bytes; a Cortex-M with 128 KB has {RAM_BYTES}", file=sys.stderr)
    for what in failed:
        print(f"{what}: does not run in the heap it is to fit: see above", file=sys.stderr)
    return 1 if failed or total > RAM_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
