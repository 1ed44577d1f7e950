# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The demo's radio: where its boards stand in the virtual air, and how the gateway hears them."""

from __future__ import annotations

import json
import math
import random
import socket
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provisioning.enroll import Lora
from provisioning.identities import new_eui

_SEED: Final = 7
_NEAREST_M: Final = 100.0
_FARTHEST_M: Final = 800.0
# A forwarder hears nothing while it sends: many boards need a second one, in another place.
_FORWARDERS_M: Final = ((-200.0, 0.0), (200.0, 0.0))
_BOARDS_FOR_ONE: Final = 8
# How long a message may be on its way: many boards on few processors keep each other waiting.
_SLACK_MS: Final = 60


@dataclass(frozen=True)
class Heard:
    """How the gateway heard a device last."""

    sf: int
    rssi_dbm: float
    snr_db: float

    def __str__(self) -> str:
        return f"lora SF{self.sf} {self.rssi_dbm:.0f} dBm SNR {self.snr_db:+.1f} dB"


class VirtualAir:
    """The air of the demo, and the packet forwarders in it."""

    def __init__(self, home: Path, boards: int) -> None:
        self.socket = home / "air.sock"
        places = _FORWARDERS_M if boards > _BOARDS_FOR_ONE else _FORWARDERS_M[:1]
        self._forwarders = {new_eui(): place for place in places}
        self._server = f"127.0.0.1:{_free_udp_port()}"
        self._log = home / "air.jsonl"

    @property
    def forwarders(self) -> int:
        """How many packet forwarders there are."""
        return len(self._forwarders)

    @property
    def link(self) -> Lora:
        """The gateway's end."""
        return Lora(tuple(self._forwarders), self._server)

    @property
    def ready(self) -> bool:
        """Whether radios may enter."""
        return self.socket.exists()

    def command(self) -> list[str]:
        """The command that runs it."""
        air = [sys.executable, "-m", "boards.virtual.air", "--socket", str(self.socket), "--seed", str(_SEED)]
        air += ["--slack-ms", str(_SLACK_MS), "--keepalive-s", "1", "--log", str(self._log)]
        for eui, (x_m, y_m) in self._forwarders.items():
            air += ["--forwarder", self._server, "--gateway-eui", eui.hex(), f"--gateway-position={x_m:.0f},{y_m:.0f}"]
        return air

    def board_options(self, number: int) -> list[str]:
        """What puts board `number` into it, at a place of its own."""
        x_m, y_m = position(number)
        return [f"--air={self.socket}", f"--position={x_m:.0f},{y_m:.0f}"]


def position(number: int) -> tuple[float, float]:
    """Where board `number` stands, in metres from the middle: the same place in every demo."""
    dice = random.Random(f"{_SEED}/{number}")  # noqa: S311  places, not secrets
    angle = dice.uniform(0, math.tau)
    # As many in each square metre.
    radius_m = math.sqrt(dice.uniform(_NEAREST_M**2, _FARTHEST_M**2))
    return radius_m * math.cos(angle), radius_m * math.sin(angle)


class RadioLog:
    """Reads the gateway's log as it grows: who was heard how, and what was sent down."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read_bytes = 0
        self.open = False
        """Whether the gateway listens to packet forwarders."""
        self.heard: dict[str, Heard] = {}
        self.downlinks: Counter[str] = Counter()
        """By window: rx1, rx2, rxc."""
        self.uplinks = 0
        self.joined: set[str] = set()

    def refresh(self) -> None:
        """Take in what was written since the last time."""
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            whole, newline, _torn = log.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # a traceback, or what the interpreter says
                continue
            if isinstance(entry, dict):
                self._take(entry)

    def line(self) -> str:
        """What happened on air so far, in one line."""
        spread = Counter(heard.sf for heard in self.heard.values())
        rates = ", ".join(f"{count} at SF{sf}" for sf, count in sorted(spread.items()))
        windows = ", ".join(f"{count} in {window.upper()}" for window, count in sorted(self.downlinks.items()))
        boards = f"{len(self.joined)} joined" + (f", {rates}" if rates else "")
        return f"on air: {self.uplinks} uplinks, {self.downlinks.total()} downlinks ({windows or 'none'}); {boards}"

    def _take(self, entry: dict[str, Any]) -> None:
        event, device = entry.get("event"), str(entry.get("dev_eui"))
        if event == "heard":
            self.uplinks += 1
            self.heard[device] = Heard(int(entry["sf"]), float(entry["rssi_dbm"]), float(entry["snr_db"]))
        elif event == "downlink":
            self.downlinks[str(entry["window"])] += 1
        elif event == "lora_open":
            self.open = True
        elif event == "joined":
            self.joined.add(device)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
