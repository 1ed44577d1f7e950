# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The other side of the Semtech UDP protocol: an encoder of its own, a packet forwarder on real sockets, and mutations.

Shares no code with the gateway: what both get wrong in the same way would otherwise pass.
"""

import asyncio
import base64
import json
import random
import socket
from typing import Any

PUSH_DATA, PUSH_ACK, PULL_DATA, PULL_RESP, PULL_ACK, TX_ACK = range(6)
WAIT_S = 10


def datagram(identifier: int, token: int, eui: bytes, body: bytes = b"", version: int = 2) -> bytes:
    return bytes([version]) + token.to_bytes(2, "big") + bytes([identifier]) + eui + body


def rxpk(phy: bytes = b"\x40\x01\x02\x03", **changes: object) -> dict[str, object]:
    item: dict[str, object] = {
        "tmst": 3512348611,
        "freq": 868.1,
        "chan": 0,
        "rfch": 1,
        "stat": 1,
        "modu": "LORA",
        "datr": "SF7BW125",
        "codr": "4/5",
        "rssi": -35,
        "lsnr": 5.1,
        "size": len(phy),
        "data": base64.b64encode(phy).decode(),
    }
    item.update(changes)
    return item


def push_body(*items: object, stat: object = None) -> bytes:
    root: dict[str, object] = {"rxpk": list(items)} if items else {}
    if stat is not None:
        root["stat"] = stat
    return json.dumps(root).encode()


class PacketForwarder:
    """Two sockets, as the real one has: everything heard leaves by `up`, everything to send arrives on `down`."""

    def __init__(self, server: tuple[str, int], eui: bytes, address: str = "127.0.0.1") -> None:
        self.server = server
        self.eui = eui
        self.up = _udp(address)
        self.down = _udp(address)
        self._token = 0x1000

    def close(self) -> None:
        self.up.close()
        self.down.close()

    def next_token(self) -> int:
        self._token = (self._token + 1) & 0xFFFF
        return self._token

    def push(self, body: bytes) -> int:
        token = self.next_token()
        self.up.sendto(datagram(PUSH_DATA, token, self.eui, body), self.server)
        return token

    def send_pull(self) -> int:
        token = self.next_token()
        self.down.sendto(datagram(PULL_DATA, token, self.eui), self.server)
        return token

    async def pull(self) -> None:
        """Keep alive, and wait for the acknowledgement: then the server has handled all that was sent before."""
        token = self.send_pull()
        while await receive(self.down) != bytes([2, *token.to_bytes(2, "big"), PULL_ACK]):
            pass

    async def pull_resp(self) -> tuple[int, dict[str, Any]]:
        return self.decode_pull_resp(await receive(self.down))

    @staticmethod
    def decode_pull_resp(data: bytes) -> tuple[int, dict[str, Any]]:
        assert (data[0], data[3]) == (2, PULL_RESP)
        return int.from_bytes(data[1:3], "big"), json.loads(data[4:])["txpk"]

    def tx_ack(self, token: int, **report: object) -> None:
        body = json.dumps({"txpk_ack": report}).encode() if report else b""
        self.down.sendto(datagram(TX_ACK, token, self.eui, body), self.server)


def _udp(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 0))
    made.setblocking(False)
    return made


async def receive(sock: socket.socket) -> bytes:
    async with asyncio.timeout(WAIT_S):
        return await asyncio.get_running_loop().sock_recv(sock, 65536)


def waiting(sock: socket.socket) -> list[bytes]:
    """All that has already arrived."""
    found = []
    while True:
        try:
            found.append(sock.recv(65536))
        except BlockingIOError:
            return found


_JSON_VALUES = (
    b"null", b"true", b"0", b"-1", b"1", b"4294967295", b"4294967296", b"1.5", b"868.1", b"-0.0", b"1e-400", b'""',
    b'"SF7BW125"', b'"SF12BW500"', b'"LORA"', b'"FSK"', b'"AQID"', b'"-_8"', b'"2014-01-12T08:59:28Z"', b"[]", b"{}",
    b'"\\ud800"', b'"\\u0000"', b'"' + b"A" * 400 + b'"',
)  # fmt: skip
_VALUES = (
    *_JSON_VALUES, b"1e999", b"-1e999", b"NaN", b"Infinity", b"[[[[[[[[[[1]]]]]]]]]]", b'{"a":1,"a":2}', b"9" * 60,
    b"9" * 5000, b"0x10", b"\xff\xfe", b"'x'",
)  # fmt: skip
_FRAGMENTS = (
    *_VALUES,
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b'"stat":1,',
    b"\0",
    b"\n",
    b"[" * 300,
    b'{"a":' * 50,
)


def originals(eui: bytes) -> list[bytes]:
    """What a forwarder sends: the seeds of all mutations."""
    stat = {"time": "2014-01-12 08:59:28 GMT", "lati": 46.24, "rxnb": 2, "ackr": 100.0, "temp": 23.2}
    antennas = {"rsig": [{"ant": 0, "rssic": -90, "lsnr": 1.0}, {"ant": 1, "rssic": -95, "lsnr": 2.0}]}
    bodies = [
        push_body(rxpk()),
        push_body(rxpk(time="2020-10-01T09:30:52.592567Z", tmms=1285579871592), rxpk(stat=-1)),
        push_body(rxpk(modu="FSK", datr=50000), rxpk(b"\x00" * 40), stat=stat),
        push_body({**{k: v for k, v in rxpk().items() if k not in ("rssi", "lsnr")}, **antennas}),
        push_body(stat=stat),
    ]
    found = [datagram(PUSH_DATA, 0x0102, eui, body) for body in bodies]
    found.append(datagram(PULL_DATA, 0x0103, eui))
    found.append(datagram(TX_ACK, 0x0104, eui))
    found.append(datagram(TX_ACK, 0x0105, eui, b'{"txpk_ack":{"error":"TOO_LATE"}}'))
    found.append(datagram(TX_ACK, 0x0106, eui, b'{"txpk_ack":{"warn":"TX_POWER","value":20}}'))
    return found


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Return *data* with one to three changes, most of them such that it is still nearly JSON."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice((_flip, _cut, _insert, _value, _value, _value, _value, _key, _key, _truncate, _repeat))
        data = change(rng, data)
    return data


def _flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    # One time in four in the header: else hardly anything would reach the JSON.
    at = rng.randrange(min(12, len(data)) if rng.random() < 0.25 else len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 8) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_FRAGMENTS) + data[at:]


def _value(rng: random.Random, data: bytes) -> bytes:
    """Replace what stands after one of the colons."""
    colons = [at for at in range(12, len(data)) if data[at] == ord(":")]
    if not colons:
        return data
    at = rng.choice(colons) + 1
    end = at
    while end < len(data) and data[end] not in b",}]":
        end += 1
    return data[:at] + rng.choice(_VALUES if rng.random() < 0.3 else _JSON_VALUES) + data[end:]


def _key(rng: random.Random, data: bytes) -> bytes:
    """Make one key another one, so that one is missing and one perhaps there twice."""
    keys = (
        b'"tmst"',
        b'"freq"',
        b'"stat"',
        b'"modu"',
        b'"datr"',
        b'"size"',
        b'"data"',
        b'"rssi"',
        b'"lsnr"',
        b'"time"',
    )
    return data.replace(rng.choice(keys), rng.choice(keys), 1)


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at : at + rng.randint(1, 200)] * rng.choice((2, 3, 50)) + data[at:]
