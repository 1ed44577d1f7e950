# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What hangs on this computer's cables: serial ports with their USB identity, what answers on them, which board it is.

Nothing here chooses between two boards: what is ambiguous is said to be.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from serial.tools import list_ports

from boards import schema
from boards.bench import drive_mark
from provisioning.bench.board import Board, Facts
from provisioning.bench.errors import AmbiguousPort, BenchError, NoPrompt, NoSuchPort, PortBusy, PortDenied
from provisioning.bench.line import Line
from provisioning.bench.repl import RawRepl
from provisioning.bench.symptoms import find as find_symptoms

Answer = Literal["not asked", "micropython", "rom loader", "drive", "dfu", "busy", "denied", "silent", "other"]
ESP_SYNC: Final = bytes.fromhex("c0000824000000000007071220" + "55" * 32 + "c0")
"""SYNC of the ROM loader of ESP32 chips: SLIP frame, command 0x08 (Espressif, esptool's serial protocol)."""
ESP_SYNCED: Final = bytes.fromhex("c00108")
_SYNCS: Final = 4
_ASK_TIMEOUT_S: Final = 6.0
_MOUNTS: Final = ("/media/*/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")
_DFU_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class Port:
    """One port, drive or DFU device."""

    path: str
    by_id: str | None = None
    """The name that stays when boards are plugged in another order."""
    usb: str | None = None
    """Vendor and product."""
    serial_number: str | None = None
    product: str | None = None
    answers: Answer = "not asked"
    facts: Facts | None = None
    boards: tuple[str, ...] = ()
    """The boards that it can be; one when it is certain."""
    remark: str = ""
    virtual: bool = field(default=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """For --json: names and units as they stand here."""
        facts = self.facts
        return {
            "port": self.path,
            "by_id": self.by_id,
            "usb": self.usb,
            "serial_number": self.serial_number,
            "product": self.product,
            "answers": self.answers,
            "micropython": None if facts is None else facts.version_text,
            "machine": None if facts is None else facts.machine,
            "mpy_version": None if facts is None else facts.mpy,
            "unique_id": None if facts is None else facts.uid or None,
            "node_build": None if facts is None else facts.launcher.build,
            "node_slot": None if facts is None else facts.launcher.slot,
            "heap_free_bytes": None if facts is None else facts.heap_bytes,
            "flash_free_bytes": None if facts is None else facts.free_bytes,
            "boards": list(self.boards),
            "remark": self.remark,
        }


def listed(extra: Iterable[str] = ()) -> list[Port]:
    """Every USB serial port, the ports named in *extra* (a PTY, a port without USB), drives and DFU devices."""
    found = [_usb_port(info) for info in sorted(list_ports.comports()) if info.vid is not None]
    known = {os.path.realpath(port.path) for port in found}
    for path in extra:
        if os.path.realpath(path) not in known:
            found.append(Port(path))
    return found + _drives() + _dfu_devices()


def asked(port: Port, baud: int = 115_200) -> Port:
    """Ask what answers on a port. A program that runs on the board is stopped, and started anew afterwards."""
    if port.answers in ("drive", "dfu"):
        return port
    line = Line(port.path, baud)
    try:
        line.open(1.0)
    except PortBusy as error:
        return replace(port, answers="busy", remark=error.state)
    except (PortDenied, NoSuchPort) as error:
        return replace(port, answers="denied" if isinstance(error, PortDenied) else "silent", remark=error.state)
    try:
        return _asked(port, line)
    except BenchError as error:
        return replace(port, answers="other", remark=error.state)
    finally:
        line.close()


def _asked(port: Port, line: Line) -> Port:
    repl = RawRepl(line)
    try:
        repl.enter(_ASK_TIMEOUT_S)
    except NoPrompt as error:
        if _is_rom_loader(line, error.seen):
            boards = tuple(name for name in port.boards if _method(name) == "esptool")
            return replace(port, answers="rom loader", boards=boards, remark="next: lykta flash")
        return replace(port, answers="other" if error.seen else "silent", remark=error.state)
    facts = Board(repl).facts()
    repl.soft_reset_and_leave()
    return replace(port, answers="micropython", facts=facts, boards=candidates(facts, port.usb))


def candidates(facts: Facts, usb: str | None) -> tuple[str, ...]:
    """The boards that this one can be: the one it was installed as, else those whose file fits what it says."""
    if facts.board is not None and facts.board in schema.names():
        return (facts.board,)
    found = []
    for name in schema.names():
        board = schema.load_board(name)
        if board.bench is None:
            if board.virtual is not None and facts.platform == "linux":
                found.append(name)
        elif facts.machine.startswith(board.bench.machine):
            found.append(name)
    by_usb = [name for name in found if usb is not None and usb in _usb_of(name)]
    return tuple(by_usb or found)


def choose(ports: Sequence[Port], wanted: str | None) -> Port:
    """The port that a person means: the one she names (path, by-id name or serial number), or the only one there is.

    Raises AmbiguousPort, NoSuchPort.
    """
    if wanted is not None:
        named = [port for port in ports if wanted in (port.path, port.by_id, port.serial_number)]
        if len(named) == 1:
            return named[0]
        if len(named) > 1:
            raise _ambiguous(named)
        return Port(wanted)
    if not ports:
        raise NoSuchPort(
            "No board is plugged in.",
            reason="No USB serial port, no drive and no DFU device is there; some cables carry power only.",
            next_step="plug one in and look with: lykta ports; to rehearse without one, add --virtual",
        )
    if len(ports) > 1:
        raise _ambiguous(ports)
    return ports[0]


def board_name(port: Port, wanted: str | None) -> str:
    """Which board file a port's board has: the one a person names, or the only one that fits. Raises AmbiguousPort."""
    if wanted is not None:
        return wanted
    if len(port.boards) == 1:
        return port.boards[0]
    machine = "" if port.facts is None else port.facts.machine
    raise AmbiguousPort(
        "This board cannot be told apart from others of its kind." if port.boards else "This board is not known.",
        value=", ".join(port.boards) or machine or port.path,
        reason="The wrong pins can keep a lamp dark or burn an output; nothing is guessed.",
        next_step="add --board NAME; lykta boards lists them",
    )


def _usb_port(info: Any) -> Port:
    usb = f"{info.vid:04x}:{info.pid:04x}"
    boards = tuple(name for name in schema.names() if usb in _usb_of(name))
    return Port(info.device, _by_id(info.device), usb, info.serial_number, info.product, boards=boards)


def _usb_of(name: str) -> list[str]:
    bench = schema.load_board(name).bench
    return [] if bench is None else bench.usb


def _method(name: str) -> str | None:
    bench = schema.load_board(name).bench
    return None if bench is None else bench.method


def _by_id(device: str) -> str | None:
    folder = Path("/dev/serial/by-id")
    if not folder.is_dir():
        return None
    return next((str(link) for link in sorted(folder.iterdir()) if link.resolve() == Path(device).resolve()), None)


def _is_rom_loader(line: Line, seen: bytes) -> bool:
    if any(symptom.name in ("rom_loader", "no_firmware") for symptom in find_symptoms(seen)):
        return True
    for _ in range(_SYNCS):
        line.write(ESP_SYNC)
        _, came = line.read_until(ESP_SYNCED, 0.2)
        if came:
            line.drain()
            return True
    return False


def _drives() -> list[Port]:
    """Drives that boards show when they wait for an image."""
    return [
        port
        for pattern in _MOUNTS
        for folder in sorted(Path("/").glob(pattern[1:]))
        if (port := drive_at(folder)) is not None
    ]


def drive_at(folder: Path) -> Port | None:
    """The drive of a board that waits for an image, if this folder is one."""
    found = []
    for name in schema.names():
        bench = schema.load_board(name).bench
        if bench is None or bench.method != "drive":
            continue
        file, text = drive_mark(bench)
        try:
            if text in (folder / file).read_text("utf-8", "replace"):
                found.append(name)
        except OSError:
            continue
    return Port(str(folder), answers="drive", boards=tuple(found), remark="next: lykta flash") if found else None


def _dfu_devices() -> list[Port]:
    try:
        done = subprocess.run(
            ["dfu-util", "--list"], capture_output=True, text=True, timeout=_DFU_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_dfu(done.stdout)


def parse_dfu(text: str) -> list[Port]:
    """The devices of dfu-util's list, each once: 'Found DFU: [0483:df11] ..., serial="..."'."""
    found: dict[str, Port] = {}
    for line in text.splitlines():
        if not line.startswith("Found DFU: ["):
            continue
        usb = line.split("[", 1)[1].split("]", 1)[0]
        serial_number = line.rsplit('serial="', 1)[1].rstrip('"') if 'serial="' in line else None
        path = f"dfu:{usb}:{serial_number or ''}"
        boards = tuple(name for name in schema.names() if _method(name) == "dfu" and usb in _usb_of(name))
        found[path] = Port(path, None, usb, serial_number, answers="dfu", boards=boards, remark="next: lykta flash")
    return list(found.values())


def _ambiguous(ports: Sequence[Port]) -> AmbiguousPort:
    return AmbiguousPort(
        "More than one board is plugged in.",
        value=", ".join(port.path for port in ports),
        reason="Nothing is guessed: the wrong one would lose what is on it.",
        next_step="name one: its port, its by-id name or its serial number, as lykta ports shows them",
    )
