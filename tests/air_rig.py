# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The air in a process of its own, radios that join through its socket, and a network server on real UDP sockets."""

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_S = 30
PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
UPLINK = {"freq_hz": 868_100_000, "sf": 7, "bw_hz": 125_000, "iq": False, "sync": 52}
DOWNLINK = UPLINK | {"iq": True}


def now_us() -> int:
    return time.monotonic_ns() // 1000


class AirProcess:
    """The real program; its log is its standard output after the first line."""

    def __init__(self, path: Path, *arguments: str) -> None:
        self.path = path
        command = [sys.executable, "-m", "boards.virtual.air", "--socket", str(path), "--log", "-", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready = self.next_line()

    def next_line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the air ended: {self.process.communicate()[1]}")
        fields: dict[str, Any] = json.loads(line)
        return fields

    def frame(self, number: int) -> dict[str, Any]:
        """The log's line about a frame, as soon as that frame is over."""
        while True:
            line = self.next_line()
            if line["event"] == "frame" and line["frame"] == number:
                return line

    def stop(self) -> tuple[int, str]:
        self.process.terminate()
        _, errors = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, errors


@contextmanager
def air(path: Path, *arguments: str) -> Iterator[AirProcess]:
    process = AirProcess(path, *arguments)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.stop()


class Radio:
    """A connection to the air that says exactly what a test wants."""

    def __init__(self, path: Path, radio_id: str | None = None, x_m: float = 0, y_m: float = 0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")
        if radio_id is not None:
            self.say(op="hello", id=radio_id, x_m=x_m, y_m=y_m, antenna_dbi=0)
            self.welcome = self.expect("welcome")

    def say(self, **fields: object) -> None:
        self.socket.sendall(json.dumps(fields).encode() + b"\n")

    def next(self) -> dict[str, Any]:
        line = self.lines.readline()
        if not line:
            raise ConnectionError("the air closed the connection")
        fields: dict[str, Any] = json.loads(line)
        return fields

    def expect(self, operation: str) -> dict[str, Any]:
        fields = self.next()
        assert fields["op"] == operation, fields
        return fields

    def send(self, at_us: int, data: bytes, **changes: object) -> dict[str, Any]:
        self.say(
            **{"op": "tx", "at_us": at_us, "cr": 5, "preamble": 8, "power_dbm": 14}
            | UPLINK
            | {"data": data.hex()}
            | changes
        )
        return self.expect("txed")

    def listen(self, from_us: int, **changes: object) -> None:
        self.say(**{"op": "listen", "from_us": from_us} | UPLINK | changes)

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class NetworkServer:
    """A server for packet forwarders: acknowledges, and remembers where each kind of datagram comes from."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.socket.settimeout(WAIT_S)
        self.port: int = self.socket.getsockname()[1]
        self.sources: dict[int, tuple[str, int]] = {}
        self._token = 0

    def receive(self) -> tuple[int, bytes, bytes, bytes]:
        """Identifier, token, EUI and body of the next datagram, acknowledged."""
        datagram, source = self.socket.recvfrom(65536)
        assert datagram[0] == 2
        token, identifier = datagram[1:3], datagram[3]
        self.sources[identifier] = source
        if identifier in (PUSH_DATA, PULL_DATA):
            answer = PUSH_ACK if identifier == PUSH_DATA else PULL_ACK
            self.socket.sendto(bytes((2, *token, answer)), source)
        return identifier, token, datagram[4:12], datagram[12:]

    def wait_for(self, identifier: int, wanted: Callable[[dict[str, Any]], bool] = lambda body: True) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            received, _, eui, text = self.receive()
            body: dict[str, Any] = {"eui": eui} | (json.loads(text) if text else {})
            if received == identifier and wanted(body):
                return body
        raise TimeoutError(f"no such datagram {identifier} within {WAIT_S} s")

    def uplinks(self) -> list[dict[str, Any]]:
        body = self.wait_for(PUSH_DATA, lambda body: "rxpk" in body)
        packets: list[dict[str, Any]] = body["rxpk"]
        return packets

    def ask(self, **txpk: object) -> bytes:
        """Send a PULL_RESP to where the last PULL_DATA came from."""
        self._token += 1
        token = self._token.to_bytes(2, "big")
        body = json.dumps({"txpk": txpk}).encode()
        self.socket.sendto(bytes((2, *token, PULL_RESP)) + body, self.sources[PULL_DATA])
        return token

    def outcome(self, token: bytes) -> dict[str, Any] | None:
        """What the forwarder says to that PULL_RESP: the txpk_ack, or None for no error."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            identifier, received, _, text = self.receive()
            if identifier == TX_ACK:
                assert received == token
                return json.loads(text)["txpk_ack"] if text else None
        raise TimeoutError(f"no TX_ACK within {WAIT_S} s")

    def close(self) -> None:
        self.socket.close()


def downlink(phy: bytes, **changes: object) -> dict[str, object]:
    """The txpk of a LoRaWAN downlink at SF7."""
    fields: dict[str, object] = {
        "freq": 868.1,
        "rfch": 0,
        "powe": 14,
        "modu": "LORA",
        "datr": "SF7BW125",
        "codr": "4/5",
        "ipol": True,
        "ncrc": True,
        "size": len(phy),
        "data": base64.b64encode(phy).decode(),
    }
    return fields | changes
