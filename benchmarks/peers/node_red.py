# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Node-RED as shipped: udp in -> function -> mqtt out with QoS 1. No signature, no check of a frame, no store."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, suppress

from benchmarks.load.rig import broker, free_port
from benchmarks.peers.contestant import ROOT, ByDatagrams, Reading, place_of, plain

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


class NodeRed(ByDatagrams):
    """One reading as JSON in one datagram."""

    name = "Node-RED"
    keeps = "nothing"
    window = 200
    """Its socket has the kernel's usual buffer; more would overflow it."""

    def _start(self, stack: ExitStack) -> None:
        port = stack.enter_context(broker(self._folder))
        udp_port = free_port(socket.SOCK_DGRAM)
        self.prepare(1)
        self._opens(stack, udp_port)
        self._hears(stack, port, "city/#", b'"seq"')
        (self._folder / "flows.json").write_text(json.dumps(flow(udp_port, port)))
        settings = self._folder / "settings.js"
        settings.write_text(
            'module.exports = {flowFile: "flows.json", uiHost: "127.0.0.1", httpAdminRoot: false, httpNodeRoot: false,'
            ' telemetry: {enabled: false}, logging: {console: {level: "info"}}};'
        )
        command = ["node", "--require", str(_LOOPBACK), str(INSTALLED / "red.js"), "--userDir", str(self._folder)]
        self._run(stack, *command, "--settings", str(settings), "--port", str(free_port()))
        self._until_it_answers(self._probe, quiet_s=0.5)

    def _probe(self) -> None:
        with suppress(ConnectionRefusedError):  # nobody listens yet
            self._sender.send(self._made[0])

    def _make(self, first: int, last: int) -> list[bytes]:
        return [json.dumps(plain(index)).encode() for index in range(first, last)]

    def came(self, message: bytes) -> list[Reading]:
        """One reading in one message."""
        said = json.loads(message)
        return [(place_of(said["device"]), said["seq"])]
