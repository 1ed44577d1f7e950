# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Node-RED as shipped: udp in -> function -> mqtt out with QoS 1. No signature, no check of a frame, no store."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from benchmarks.load.rig import broker, free_port
from benchmarks.peers.course import Reading, on_core, reading_of, values_of
from benchmarks.peers.plain_mqtt import FarEnd
from tests.gateway_rig import until

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / "build" / "peers" / "node_red" / "node_modules" / "node-red"
_LOOPBACK = ROOT / "benchmarks" / "peers" / "node_red_pinned" / "loopback.js"
_FUNCTION = """
const reading = JSON.parse(msg.payload);
msg.topic = "city/" + reading.device;
msg.payload = JSON.stringify({device: reading.device, seq: reading.seq, ts: reading.ts, values: {
  lamp_on: reading.lamp_on, power_w: reading.power_w, dim_pct: reading.dim_pct, energy_wh: reading.energy_wh}});
return msg;
"""


def flow(udp_port: int, broker_port: int) -> list[dict[str, object]]:
    """The flow file, as the editor writes it."""
    return [
        {"id": "tab", "type": "tab", "label": "readings"},
        {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(broker_port), "clientid": "node-red",
         "autoConnect": True, "usetls": False, "protocolVersion": "4", "keepalive": "60", "cleansession": True},
        {"id": "in", "type": "udp in", "z": "tab", "iface": "", "port": str(udp_port), "ipv": "udp4",
         "multicast": "false", "group": "", "datatype": "utf8", "wires": [["work"]]},
        {"id": "work", "type": "function", "z": "tab", "func": _FUNCTION, "outputs": 1, "initialize": "",
         "finalize": "", "libs": [], "wires": [["out"]]},
        {"id": "out", "type": "mqtt out", "z": "tab", "topic": "", "qos": "1", "retain": "", "broker": "broker",
         "wires": []},
    ]  # fmt: skip


class Contestant:
    """One reading as JSON in one datagram."""

    name = "Node-RED"
    keeps = "nothing"
    window = 200
    """Its socket has the kernel's usual buffer; more would overflow it."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            port = stack.enter_context(broker(self._folder))
            udp_port = free_port(socket.SOCK_DGRAM)
            self._datagrams = [_reading(index) for index in range(self._count)]
            self._sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._sender.connect(("127.0.0.1", udp_port))
            self.far_end = FarEnd(port, ["city/#"], b'"seq"')
            stack.callback(self.far_end.close)
            process = self._start(flow(udp_port, port))
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            self.pid = process.pid
            self._wait_until_it_answers()
            self._stack = stack.pop_all()
        return self

    def _start(self, nodes: list[dict[str, object]]) -> subprocess.Popen[bytes]:
        (self._folder / "flows.json").write_text(json.dumps(nodes))
        (self._folder / "settings.js").write_text(
            'module.exports = {flowFile: "flows.json", uiHost: "127.0.0.1", httpAdminRoot: false, httpNodeRoot: false,'
            ' telemetry: {enabled: false}, logging: {console: {level: "info"}}};'
        )
        command = ["node", "--require", str(_LOOPBACK), str(INSTALLED / "red.js"), "--userDir", str(self._folder)]
        with on_core(0), (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                [*command, "--settings", str(self._folder / "settings.js"), "--port", str(free_port())],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder,
            )  # fmt: skip

    def _wait_until_it_answers(self) -> None:
        """Its flow runs when a datagram comes out at the other end."""

        def came() -> bool:
            with suppress(ConnectionRefusedError):  # nobody listens yet
                self._sender.send(self._datagrams[0])
            return self.far_end.arrived > 0

        until(came, "Node-RED to pass a reading on", 90)
        until(self._still, "Node-RED to pass on all that was tried", 30)

    def _still(self) -> bool:
        before = self.far_end.arrived
        time.sleep(0.5)
        return before == self.far_end.arrived

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def offer(self, first: int, last: int) -> None:
        """One reading in one datagram."""
        for datagram in self._datagrams[first:last]:
            self._sender.send(datagram)

    def came(self, message: bytes) -> list[Reading]:
        """One reading in one message."""
        said = json.loads(message)
        return [(int(said["device"][-2:]), said["seq"])]


def _reading(index: int) -> bytes:
    device, seq = reading_of(index)
    ts_ms = (1_790_000_000 + index) * 1000
    return json.dumps({"ts": ts_ms, "device": f"light-{device:02}", "seq": seq, **values_of(seq)}).encode()
