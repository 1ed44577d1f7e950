# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""As much MQTT 3.1.1 as a load generator and a counting subscriber need, cheap enough not to be measured."""

from __future__ import annotations

import socket
import struct
import threading
import time

_CONNECT, _PUBLISH_QOS1, _SUBSCRIBE = 0x10, 0x32, 0x82
_PATIENCE_S = 20.0


def _field(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _packet(kind: int, body: bytes) -> bytes:
    size, left = bytearray(), len(body)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((kind, *size, left)) + body


def connect(port: int, client_id: str) -> socket.socket:
    """A connection to a broker on loopback that asks for no keep-alive."""
    line = socket.create_connection(("127.0.0.1", port), _PATIENCE_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(_packet(_CONNECT, _field(b"MQTT") + b"\x04\x02\x00\x00" + _field(client_id.encode())))
    answer = line.recv(4, socket.MSG_WAITALL)
    if answer[3:] != b"\0":
        raise ConnectionError(f"the broker on port {port} refused {client_id}: {answer.hex()}")
    return line


def publication(topic: str, payload: bytes, packet_id: int) -> bytes:
    """A PUBLISH with QoS 1."""
    return _packet(_PUBLISH_QOS1, _field(topic.encode()) + struct.pack(">H", packet_id) + payload)


class Publisher:
    """Sends what was encoded before; what the broker answers is thrown away."""

    def __init__(self, port: int) -> None:
        self._line = connect(port, "devices")
        self._drain = threading.Thread(target=self._throw_away, daemon=True)
        self._drain.start()

    def send(self, packets: list[bytes]) -> None:
        """Put them on the line."""
        self._line.sendall(b"".join(packets))

    def _throw_away(self) -> None:
        try:
            while self._line.recv(65536):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Leave."""
        self._line.shutdown(socket.SHUT_RDWR)
        self._drain.join(_PATIENCE_S)
        self._line.close()


class FarEnd:
    """The platform: keeps each message with the moment it came, and looks into none while the clock runs."""

    def __init__(self, port: int, topics: list[str], mark: bytes) -> None:
        self.messages: list[tuple[float, bytes]] = []
        self.arrived = 0
        """Readings so far: how often *mark* stands in the messages. An estimate to pace by, no result."""
        self._mark = mark
        self._line = connect(port, "platform")
        asked = b"".join(_field(topic.encode()) + b"\0" for topic in topics)
        self._line.sendall(_packet(_SUBSCRIBE, b"\0\1" + asked))
        if self._line.recv(4 + len(topics), socket.MSG_WAITALL)[0] != 0x90:
            raise ConnectionError(f"the broker on port {port} did not take the subscription")
        self._line.settimeout(None)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        waiting = bytearray()
        try:
            while data := self._line.recv(262144):
                waiting += data
                self._take(waiting, time.perf_counter())
        except OSError:
            pass

    def _take(self, waiting: bytearray, now_s: float) -> None:
        """Cut whole packets off the front of *waiting*."""
        start = 0
        while len(waiting) - start > 4:
            at, size, shift = start + 1, 0, 0
            while waiting[at] & 0x80:
                size |= (waiting[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
            at, end = at + 1, at + 1 + (size | waiting[at] << shift)
            if end > len(waiting):
                break
            if waiting[start] & 0xF0 == 0x30:
                payload = bytes(waiting[at + 2 + struct.unpack_from(">H", waiting, at)[0] : end])
                self.messages.append((now_s, payload))
                self.arrived += payload.count(self._mark)
            start = end
        del waiting[:start]

    def close(self) -> None:
        """Leave."""
        self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE_S)
        self._line.close()
