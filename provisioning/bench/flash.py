# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MicroPython itself onto a board: by esptool, by copying to the board's drive, or by dfu-util.

The tools work in processes of their own, so that one that hangs or gives up takes nothing with it. Of esptool the
library is used (`esp.py`); an older one, such as Debian's, is called as a program.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from boards.bench import BenchTable
from provisioning.bench import esp, esp_image, images, install
from provisioning.bench.errors import FlashFailed, WrongBoard
from provisioning.bench.images import Image
from provisioning.bench.ports import Port, drive_at

Tell = Callable[[str], None]
TOOL_TIMEOUT_S: Final = 600
_BAUD: Final = 460_800
_DRIVE_TIMEOUT_S: Final = 60.0
_LOOK_S: Final = 0.2
_CHUNK_BYTES: Final = 65_536

_ADVICE: Final = (
    # what esptool or dfu-util says, what it means, what to do
    (
        r"MD5 of file does not match",
        "The flash does not hold what was written.",
        "write again with --erase; if it stays, its write-protection bits are set or the chip is worn out",
    ),
    (
        r"Wrong boot mode detected|Failed to connect|No serial data received|Invalid head of packet",
        "The board's ROM loader does not answer.",
        "hold BOOT, press RST, let go, and try again; another cable or a driver for the adapter helps too",
    ),
    (
        r"This chip is ([\w-]+),? not ([\w-]+)|Unexpected chip",
        "The processor is another one than the board's file says.",
        "choose the right --board",
    ),
    (r"Permission denied|could not open port", "The port cannot be opened.", "lykta doctor PORT says why"),
    (
        r"No accessible RP[- \w/]*device|ROM USB device[s ]*in BOOTSEL mode were found",
        "picotool finds no such board.",
        "hold BOOTSEL while plugging it in and name its drive; or add picotool's udev rule",
    ),
    (
        r"No DFU capable USB device|LIBUSB_ERROR_ACCESS",
        "No DFU device answers, or you may not open it.",
        "hold BOOT0 while pressing reset; add a udev rule for its USB numbers",
    ),
)


def _unseen(_: install.Progress) -> None:
    """Nobody looks how far it is."""


def flash(
    port: Port,
    name: str,
    bench: BenchTable,
    image: Image,
    *,
    mcu: str,
    erase: bool,
    tell: Tell,
    report: install.Report = _unseen,
) -> None:
    """Put an image on the board of a port by the method of its file. Raises FlashFailed, NoImage, WrongBoard."""
    data = image.path.read_bytes()
    if bench.method == "esptool":
        esp_image.check(data, bench.offset, bench.chip)
        if esp.library():
            esp.flash(esp.Job(port.path, bench, image, erase, tell, report))
        else:
            _esptool(port, bench, image, erase, tell)
    elif bench.method == "dfu":
        _dfu(port, bench, image, tell)
    else:
        if mcu.startswith("RP2"):
            images.check_uf2(data, mcu)
        if mcu.startswith("RP2") and not Path(port.path).is_dir():
            _picotool(port, image, erase, tell)
            return
        if erase:
            raise FlashFailed(
                "A drive cannot be erased.",
                value=name,
                reason="Its loader takes images only.",
                next_step="leave --erase out; for an RP2 name its serial port, which picotool erases",
            )
        copy_to_drive(port, name, image, data, tell)


def copy_to_drive(port: Port, name: str, image: Image, data: bytes, tell: Tell) -> None:
    """Copy an image to a board's drive and wait until the board has taken it, which is when the drive goes away."""
    folder = Path(port.path)
    found = drive_at(folder)
    if found is None or name not in found.boards:
        raise WrongBoard(
            "This is not the drive of such a board.",
            value=port.path,
            reason=f"Its file says how the drive of a {name} is recognised.",
            next_step="hold BOOTSEL while plugging the board in, then: lykta ports",
        )
    tell(f"copying {image.path.name}, {len(data)} bytes")
    try:
        with (folder / image.path.name).open("wb") as file:
            for start in range(0, len(data), _CHUNK_BYTES):
                file.write(data[start : start + _CHUNK_BYTES])
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        tell("the drive went away while it was written to, as some do when they have all")
    deadline = time.monotonic() + _DRIVE_TIMEOUT_S
    while drive_at(folder) is not None:
        failure = folder / "FAIL.TXT"
        if failure.exists():
            raise FlashFailed("The board refused the image.", value=failure.read_text("utf-8", "replace").strip())
        if time.monotonic() > deadline:
            raise FlashFailed(
                "The board has not taken the image.",
                value=port.path,
                reason="Its drive is still there; it goes away when the board restarts with the image.",
                next_step="unplug it, hold BOOTSEL while plugging it in, and try again",
            )
        time.sleep(_LOOK_S)
    tell("the board restarts")


def esptool_command() -> list[str]:
    """The esptool of this environment, else the one on PATH. Raises FlashFailed."""
    if importlib.util.find_spec("esptool") is not None:
        return [sys.executable, "-m", "esptool"]
    for name in ("esptool", "esptool.py"):
        found = shutil.which(name)
        if found is not None:
            return [found]
    raise FlashFailed(
        "esptool is not installed here.",
        reason="It is what writes to the flash of an ESP32; it is under the GPL, and so no part of this project.",
        next_step="make esptool (or pip install 'esptool>=5' beside lykta, or apt install esptool)",
    )


def _esptool(port: Port, bench: BenchTable, image: Image, erase: bool, tell: Tell) -> None:
    base = [*esptool_command(), "--chip", bench.chip or "auto", "--port", port.path, "--baud", str(_BAUD)]
    if erase:
        _run([*base, "erase_flash"], tell)
    _run([*base, "write_flash", "--flash_size", "detect", hex(bench.offset), str(image.path)], tell)


def _dfu(port: Port, bench: BenchTable, image: Image, tell: Tell) -> None:
    program = shutil.which("dfu-util")
    if program is None:
        raise FlashFailed("dfu-util is not installed here.", next_step="apt install dfu-util")
    command = [program, "--device", port.usb or bench.usb[0], "--alt", "0"]
    if port.serial_number:
        command += ["--serial", port.serial_number]
    _run([*command, "--dfuse-address", f"{bench.offset:#x}:leave", "--download", str(image.path)], tell)


def _picotool(port: Port, image: Image, erase: bool, tell: Tell) -> None:
    """An RP2 that runs MicroPython is sent into its loader, and back, without a button."""
    program = shutil.which("picotool")
    if program is None:
        raise FlashFailed(
            "picotool is not installed here, and this is the serial port of a board, not its drive.",
            value=port.path,
            reason="picotool sends the board into its loader; without it the button does.",
            next_step="apt install picotool; or hold BOOTSEL while plugging the board in and name its drive",
        )
    chosen = ["--ser", port.serial_number] if port.serial_number else []
    if erase:
        _run([program, "erase", *chosen, "-F"], tell)  # -F: it stays in its loader
    _run([program, "load", "--verify", "--execute", *chosen, "-f", str(image.path)], tell)


def _run(command: list[str], tell: Tell) -> None:
    tell(" ".join(Path(part).name if number == 0 else part for number, part in enumerate(command)))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TOOL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FlashFailed(
            f"The tool did not end within {TOOL_TIMEOUT_S} s.",
            value=command[0],
            next_step="unplug the board, try again",
        ) from error
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return
    for pattern, state, next_step in _ADVICE:
        match = re.search(pattern, said)
        if match is not None:
            raise FlashFailed(state, value=match[0], next_step=next_step)
    last = said.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    raise FlashFailed(f"{Path(command[0]).name} failed.", value=last[0], next_step="lykta doctor PORT")
