# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where the tests run: a rig is one device, hands that switch its power, and a packet forwarder that hears it."""

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import pytest
from pydantic import BaseModel, Field

from boards.build import build_tree
from boards.schema import load_board
from boards.virtual.image import make_image
from firmware.node import slots
from firmware.wire import cbor
from hil_tests.semtech_end import SemtechEnd
from provisioning import strict_toml
from provisioning.secret_refs import load_secret

WAIT_S = 30
Hex8 = Annotated[str, Field(pattern="^[0-9a-fA-F]{16}$")]


@dataclass(frozen=True)
class Identity:
    """What the network must know of a device; EUIs as people write them."""

    dev_eui: bytes
    join_eui: bytes
    app_key: bytes


@dataclass(frozen=True)
class Needs:
    """What a test needs of the device: its class, and whether the test port 224 is open."""

    device_class: Literal["A", "C"] = "A"
    certification: bool = True


class Rig(Protocol):
    """All that tests know of the place they run in."""

    identity: Identity
    semtech: SemtechEnd

    def fresh(self, needs: Needs) -> None:
        """Switch on a device that knows of no session; ``pytest.skip`` with the reason when the rig has none such."""

    def power(self, on: bool) -> None:
        """Switch the device's power, at once."""

    def next_join_nonce(self) -> int:
        """Return a JoinNonce higher than every one before, on this rig's device."""

    def console(self) -> str:
        """Return what the device's console said lately, for a failure's message."""

    def air_log(self) -> list[dict[str, Any]]:
        """Return a record of every frame in the air; ``pytest.skip`` where nobody keeps one."""

    def close(self) -> None:
        """Give everything back."""


def power_cycle(rig: Rig, off_s: float = 0.3) -> None:
    """Take the power away and give it again."""
    rig.power(False)
    time.sleep(off_s)  # capacitors of a real board
    rig.power(True)


class VirtualRig:
    """A virtual board with the shipped firmware, the virtual air and its gateway; a new board for each ``fresh``."""

    def __init__(self, folder: Path, interval_ms: int = 1500) -> None:
        self.identity = Identity(b"\x02" + os.urandom(7), bytes.fromhex("0200000000000002"), os.urandom(16))
        self.semtech = SemtechEnd()
        self._folder = folder
        # Paths of Unix sockets are short.
        self._sockets = tempfile.TemporaryDirectory(prefix="hil-")
        self._air_socket = Path(self._sockets.name, "air")
        self._interval_ms = interval_ms
        self._join_nonce = 0
        self._boards = 0
        self._board: subprocess.Popen[str] | None = None
        self._tree = build_tree(folder / "tree")
        self._air = self._start_air()

    def fresh(self, needs: Needs) -> None:
        self._stop_board()
        self._boards += 1
        image = self._folder / f"board-{self._boards}"
        lorawan = {"class": needs.device_class, "certification": needs.certification}
        values = {
            "dev_eui": self.identity.dev_eui,
            "join_eui": self.identity.join_eui,
            "app_key": self.identity.app_key,
            "kind": "street_light",
            "link": "lora",
            "console": True,
            "interval_ms": self._interval_ms,
            "receipt_every": 64,
            "queue_bytes": 65536,
            "board": {**load_board("virtual").node.as_map(), "lorawan": lorawan},
        }
        make_image(image, self._tree, {"/data/identity.a": slots.pack(1, cbor.dumps(values))})
        self._start_board(image)

    def power(self, on: bool) -> None:
        self._control("power_on" if on else "power_cut")

    def next_join_nonce(self) -> int:
        self._join_nonce += 1
        return self._join_nonce

    def console(self) -> str:
        return json.dumps(self._control("state"))

    def air_log(self) -> list[dict[str, Any]]:
        time.sleep(0.1)
        lines = (self._folder / "air.jsonl").read_text().splitlines()
        return [line for text in lines if (line := json.loads(text))["event"] == "frame"]

    def close(self) -> None:
        self._stop_board()
        _end(self._air)
        self.semtech.close()
        self._sockets.cleanup()

    def _start_air(self) -> subprocess.Popen[str]:
        host, port = self.semtech.address
        quiet = ("--shadowing-db", "0", "--fading-db", "0", "--slack-ms", "20", "--keepalive-s", "2")
        place = ("--forwarder", f"{host}:{port}", "--gateway-eui", "aabbccddeeff0011", "--gateway-position", "300,0")
        air = _start(
            "boards.virtual.air", "--socket", self._air_socket, "--log", self._folder / "air.jsonl", *place, *quiet
        )
        if air.stdout is None or not air.stdout.readline() or not self.semtech.connected.wait(WAIT_S):
            raise RuntimeError("the virtual air did not start")
        return air

    def _start_board(self, image: Path) -> None:
        control, port = Path(self._sockets.name, f"c{self._boards}"), Path(self._sockets.name, "port")
        radio = ("--air", self._air_socket, "--radio-id", image.name)
        self._control_path = control
        options = ("--port", port, "--control", control, "--scenario", "still", "--seed", "1", *radio)
        self._board = _start("boards.virtual", "run", image, *options)
        end = time.monotonic() + WAIT_S
        while not control.exists():
            if self._board.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the virtual board did not start: {self._board.communicate()}")
            time.sleep(0.02)

    def _stop_board(self) -> None:
        if self._board is not None:
            _end(self._board)
            self._board = None

    def _control(self, command: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(WAIT_S)
            line.connect(str(self._control_path))
            line.sendall(json.dumps({"cmd": command}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile("rb").readline())
        if not answer["ok"]:
            raise RuntimeError(f"{command}: {answer['error']}")
        return answer


class _Bench(BaseModel):
    dev_eui: Hex8
    join_eui: Hex8
    app_key: str
    forwarder_bind: Annotated[str, Field(pattern=r"^[^:]+:\d+$")]
    state: Path
    serial: str | None = None
    power_on: str = "manual"
    power_off: str = "manual"
    forget: str = "manual"
    device_class: Literal["A", "C"] = "A"
    certification: bool = False


class BenchFile(BaseModel):
    """``[bench]``: the device, its hands, where the packet forwarder sends to, and a file for the JoinNonce."""

    bench: _Bench


class BenchRig:
    """A real board and a real packet forwarder, as a TOML file names them. "manual" asks the person at the bench."""

    def __init__(self, path: Path) -> None:
        self._set = strict_toml.load(path, BenchFile).bench
        key = load_secret(self._set.app_key, path.parent)
        key = bytes.fromhex(key.decode()) if len(key) == 32 else key
        eui, join_eui = bytes.fromhex(self._set.dev_eui), bytes.fromhex(self._set.join_eui)
        self.identity = Identity(eui, join_eui, key)
        self._state = path.parent / self._set.state
        host, _, port = self._set.forwarder_bind.rpartition(":")
        self.semtech = SemtechEnd(host, int(port))
        if not self.semtech.connected.wait(WAIT_S):
            self.semtech.close()
            raise RuntimeError(f"no packet forwarder has spoken to {self._set.forwarder_bind} within {WAIT_S} s")

    def fresh(self, needs: Needs) -> None:
        if needs.device_class != self._set.device_class:
            pytest.skip(f"not run: the device on this bench is of class {self._set.device_class}")
        if needs.certification and not self._set.certification:
            pytest.skip("not run: the test port 224 of the device on this bench is closed (certification = false)")
        self._do(self._set.forget, "make the device forget its session (delete /data/session.* on it)")
        power_cycle(self)

    def power(self, on: bool) -> None:
        command = self._set.power_on if on else self._set.power_off
        self._do(command, f"switch the device {'on' if on else 'off'}")

    def next_join_nonce(self) -> int:
        last = int(self._state.read_text()) if self._state.exists() else 0
        self._state.write_text(f"{last + 1}\n")
        return last + 1

    def console(self) -> str:
        return f"see {self._set.serial}" if self._set.serial else "not connected"

    def air_log(self) -> list[dict[str, Any]]:
        pytest.skip("not run: nobody records the air around this bench")

    def close(self) -> None:
        self.semtech.close()

    def _do(self, command: str, wish: str) -> None:
        if command != "manual":
            subprocess.run(shlex.split(command), check=True, timeout=WAIT_S)
        elif not sys.stdin.isatty():
            pytest.skip(f"not run: somebody has to {wish}; name a command in the rig's file, or run pytest with -s")
        else:
            input(f"\nPlease {wish}, then press Enter. ")


def open_rig(name: str, folder: Path) -> Rig:
    """Return the rig that ``--rig`` names."""
    return VirtualRig(folder) if name == "virtual" else BenchRig(Path(name))


def _start(module: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
