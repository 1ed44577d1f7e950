# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The network's end of a packet forwarder's Semtech UDP protocol v2. Its own code: it shares none with the gateway."""

import base64
import contextlib
import json
import queue
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hil_tests.clocks import Clock, RealClock

PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
ACK_WAIT_S = 10
_HEADER_BYTES = 12
_DATR = re.compile(r"SF(\d+)BW(\d+)")


@dataclass(frozen=True)
class Uplink:
    """One frame as the forwarder heard it. ``at_s``: its arrival here, on the rig's clock."""

    phy: bytes
    freq_hz: int
    sf: int
    bw_hz: int
    tmst: int
    at_s: float
    rssi_dbm: float | None = None
    snr_db: float | None = None


class SemtechEnd:
    """Acknowledges what one forwarder says, keeps the uplinks in ``uplinks``, sends what it is told to."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, only_from: str | None = None) -> None:
        """*only_from*: the forwarder's address; what comes from others is not heard."""
        self.clock: Clock = RealClock()
        self.uplinks: queue.Queue[Uplink] = queue.Queue()
        self.tell: Callable[[Uplink], None] = lambda _uplink: None
        self._only_from = None if only_from is None else socket.gethostbyname(only_from)
        self.heard: list[Uplink] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        self._socket.settimeout(0.2)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._pull_from: tuple[str, int] | None = None
        self._outcomes: dict[bytes, queue.Queue[str]] = {}
        self._sent = 0
        self._closing = False
        self.connected = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="semtech", daemon=True)
        self._thread.start()

    def send(self, phy: bytes, **txpk: Any) -> str:
        """Hand a downlink to the forwarder and return what it answers: NONE means that it will be sent."""
        if self._pull_from is None:
            raise TimeoutError(f"no packet forwarder has said anything to {self.address[0]}:{self.address[1]}")
        self._sent += 1
        token = (self._sent & 0xFFFF).to_bytes(2, "big")
        self._outcomes[token] = outcome = queue.Queue()
        fields = {"rfch": 0, "powe": 14, "modu": "LORA", "codr": "4/5", "ipol": True, "ncrc": True, "size": len(phy)}
        body = {"txpk": fields | {"data": base64.b64encode(phy).decode()} | txpk}
        self._socket.sendto(bytes((2, *token, PULL_RESP)) + json.dumps(body).encode(), self._pull_from)
        try:
            return outcome.get(timeout=ACK_WAIT_S)
        except queue.Empty:
            raise TimeoutError(f"the packet forwarder gave no TX_ACK within {ACK_WAIT_S} s to {body}") from None

    def next(self, within_s: float) -> Uplink:
        """Return the next uplink; queue.Empty when none comes in time."""
        return self.clock.take(self.uplinks, within_s)

    def close(self) -> None:
        """End the thread and free the port."""
        self._closing = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                datagram, source = self._socket.recvfrom(65536)
                if self._only_from not in (None, source[0]):
                    continue
                if len(datagram) >= _HEADER_BYTES and datagram[0] == 2:
                    self._take(datagram[1:3], datagram[3], datagram[_HEADER_BYTES:], source)

    def _take(self, token: bytes, kind: int, body: bytes, source: tuple[str, int]) -> None:
        if kind == PULL_DATA:
            self._pull_from = source
            self._socket.sendto(bytes((2, *token, PULL_ACK)), source)
            self.connected.set()
        elif kind == PUSH_DATA:
            for packet in json.loads(body).get("rxpk", []):
                self._uplink(packet)
            self._socket.sendto(bytes((2, *token, PUSH_ACK)), source)
        elif kind == TX_ACK and token in self._outcomes:
            text = body.strip(b"\0 ")
            answer = json.loads(text)["txpk_ack"] if text else {}
            self._outcomes.pop(token).put(str(answer.get("error", "NONE")))

    def _uplink(self, packet: dict[str, Any]) -> None:
        rate = _DATR.fullmatch(str(packet.get("datr")))
        if packet.get("stat") != 1 or rate is None:
            return
        phy = base64.b64decode(packet["data"])
        sf, bw_hz = int(rate[1]), int(rate[2]) * 1000
        signal = packet.get("rssi"), packet.get("lsnr")
        uplink = Uplink(phy, round(packet["freq"] * 1e6), sf, bw_hz, packet["tmst"], self.clock.now_s(), *signal)
        self.heard.append(uplink)
        self.tell(uplink)
        self.clock.came()
        self.uplinks.put(uplink)
