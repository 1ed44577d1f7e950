# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The small city of city.py with a radio: a virtual air and packet forwarders between the board and the gateway."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.wire import frame
from tests.city import City, wait_until

FORWARDERS = ("0200000000000a01", "0200000000000a02")
PLACES = ("300,0", "0,400")


@dataclass(frozen=True)
class OnAir:
    """One frame as the air's log has it; *heard_by*: names of radios."""

    sender: str
    at_us: int
    until_us: int
    phy: bytes
    heard_by: frozenset[str]
    whole: bool

    @property
    def mtype(self) -> int:
        """Its LoRaWAN message type."""
        return frame.mtype(self.phy)


class LoraCity(City):
    """*forwarders* packet forwarders stand around the board, all of one gateway. No fading: a frame is lost to
    collisions and power cuts only."""

    def __init__(
        self, folder: Path, broker_port: int, forwarders: int = 1, receipt_every: int = 8, **settings: Any
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self._server = f"127.0.0.1:{probe.getsockname()[1]}"
        self._forwarders = FORWARDERS[:forwarders]
        self._receipt_every = receipt_every
        self._air = folder / "air"
        self._air_log = folder / "air.jsonl"
        super().__init__(folder, broker_port, **{"interval_ms": 3000, **settings})

    def _gateway_link(self) -> list[str]:
        listed = [part for eui in self._forwarders for part in ("--forwarder", eui)]
        return ["--lora-bind", self._server, *listed]

    def _board_link(self) -> list[str]:
        return ["--link", "lora", "--receipt-every", str(self._receipt_every)]

    def _connect(self) -> None:
        """The air is a process: start_air."""

    def _disconnect(self) -> None:
        """It ends with the other processes."""

    def start_gateway(self, environment: dict[str, str] | None = None) -> None:
        """Start the daemon; return when it listens to packet forwarders."""
        super().start_gateway(environment)
        self.wait_for_log("gateway", "lora_open")

    def start_air(self) -> None:
        """Start the air and its forwarders; return when radios may enter."""
        quiet = ["--shadowing-db", "0", "--fading-db", "0", "--slack-ms", "40", "--keepalive-s", "1"]
        command = ["boards.virtual.air", "--socket", str(self._air), *quiet, "--seed", str(self.seed)]
        for eui, place in zip(self._forwarders, PLACES, strict=False):
            command += ["--forwarder", self._server, "--gateway-eui", eui, "--gateway-position", place]
        self._start("air", [*command, "--log", str(self._air_log)])
        wait_until(self._air.exists, "the air's socket")

    def start_board(self) -> None:
        """Power on, with the command that a developer uses."""
        command = [
            "provisioning.cli",
            "board",
            "run",
            str(self.image),
            "--port",
            str(self.board_port),
            *self.run_options,
        ]
        self._start("board", [*command, "--control", str(self.control), "--air", str(self._air)])
        wait_until(self.control.exists, "the board's control socket")

    def start_all(self) -> None:
        """Start every part, the board last."""
        self.start_verifier()
        self.start_gateway()
        self.start_air()
        self.start_board()

    def on_air(self) -> list[OnAir]:
        """Return the frames that are over, in the order of their ends."""
        *lines, _rest = self._air_log.read_text().split("\n") if self._air_log.exists() else [""]
        entries = [json.loads(line) for line in lines]
        return [
            OnAir(
                sender=entry["from"],
                at_us=entry["at_us"],
                until_us=entry["until_us"],
                phy=bytes.fromhex(entry["data"]),
                heard_by=frozenset(name for name, fate in entry["fates"].items() if fate["fate"] == "received"),
                whole=not entry["cut"],
            )
            for entry in entries
            if entry["event"] == "frame"
        ]

    def joins(self) -> int:
        """Return how many whole Join-Requests were in the air."""
        return sum(each.whole and each.mtype == frame.JOIN_REQUEST for each in self.on_air())
