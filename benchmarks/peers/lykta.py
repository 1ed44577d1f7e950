# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The daemon of this repository: LoRaWAN frames in Semtech UDP datagrams to signed packs at a broker."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from benchmarks.load.rig import Gateway, broker, datagrams, make_city
from benchmarks.peers.course import DEVICES, Reading, on_core
from benchmarks.peers.plain_mqtt import FarEnd
from consumer import cose, senml


class Contestant:
    """As its operator runs it: every check, every metric, the log; synchronous=FULL before a receipt."""

    name = "Lykta"
    keeps = "each reading, flushed (SQLite, synchronous=FULL); signed, at most 16 to a signature"
    window = 1024

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            port = stack.enter_context(broker(self._folder))
            load = make_city(self._folder / "city", DEVICES, port)
            self._devices = {
                bytes.fromhex("70b3d57ed000") + (number + 1).to_bytes(2, "big"): number for number in range(DEVICES)
            }
            self._frames = datagrams(load, self._count)
            self._sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._sender.connect(("127.0.0.1", load.udp_port))
            self.far_end = FarEnd(port, ["lykta/v1/+/records"], b"cseq")
            stack.callback(self.far_end.close)
            with on_core(0):
                gateway = Gateway(load)
            stack.callback(gateway.stop)
            self.pid = gateway.process.pid
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def offer(self, first: int, last: int) -> None:
        """One reading in one frame in one datagram."""
        for frame in self._frames[first:last]:
            self._sender.send(frame)

    def came(self, message: bytes) -> list[Reading]:
        """Look into one signed pack."""
        measured = senml.decode(cose.parse(message).payload)
        return [(self._devices[bytes.fromhex(each.dev_eui)], each.seq) for each in measured]
