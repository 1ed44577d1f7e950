# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The daemon of this repository: LoRaWAN frames in Semtech UDP datagrams to signed packs at a broker."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.load.rig import Gateway, broker, datagrams, make_city
from benchmarks.peers.contestant import DEVICES, ByDatagrams, Reading, on_core
from consumer import cose, senml


class Lykta(ByDatagrams):
    """As its operator runs it: every check, every metric, the log; synchronous=FULL before a receipt."""

    name = "Lykta"
    keeps = "each reading, flushed (SQLite, synchronous=FULL); signed, at most 16 to a signature"
    window = 1024

    def _start(self, stack: ExitStack) -> None:
        port = stack.enter_context(broker(self._folder))
        load = make_city(self._folder / "city", DEVICES, port)
        self._devices = {
            bytes.fromhex("70b3d57ed000") + (number + 1).to_bytes(2, "big"): number for number in range(DEVICES)
        }
        self._load = load
        self._opens(stack, load.udp_port)
        self._hears(stack, port, "lykta/v1/+/records", b"cseq")
        with on_core(0):
            gateway = Gateway(load)
        stack.callback(gateway.stop)
        self.pid = gateway.process.pid

    def _make(self, first: int, last: int) -> list[bytes]:
        return datagrams(self._load, last - first)

    def came(self, message: bytes) -> list[Reading]:
        """Look into one signed pack."""
        measured = senml.decode(cose.parse(message).payload)
        return [(self._devices[bytes.fromhex(each.dev_eui)], each.seq) for each in measured]
