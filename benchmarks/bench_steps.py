# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What each trick of the fast path earns: the plain implementation and the quick one, in turns, on one core.

Prints microseconds a frame (median of rounds) and how many times faster the quick one is.
"""

from __future__ import annotations

import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from firmware.wire import kinds, readings
from firmware.wire.session import Session
from gateway.links.lora import bulk, bulk_out, semtech
from gateway.network.aes import ecb
from gateway.network.quick_session import QuickSession
from gateway.outbox import quick_row
from gateway.outbox.devices import Arrival, DeviceState
from gateway.outbox.receipts import NO_GAPS
from gateway.radio import Reception
from gateway.records import envelope, quick_envelope, quick_pack, quick_payload, reading, senml

ROUNDS = 9
FRAMES = 2000
_KEYS = bytes(range(16)), bytes(range(16, 32))
_ADDRESS = 0x02000001
_AT_A_TIME = 60
_PACKET = (
    b'{"rxpk":[{"tmst":3512348611,"freq":868.1,"chan":0,"rfch":1,"stat":1,"modu":"LORA","datr":"SF7BW125",'
    b'"codr":"4/5","rssi":-35,"lsnr":5.1,"size":33,"data":"QAEAAAKAAQABp1O7y9TdEN6fAA1rS7y9TdEN6fAA1rSA"}]}'
)
_Way = TypeVar("_Way")


def us_each(work: Callable[[], object]) -> float:
    """Return microseconds of CPU for one of FRAMES."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e6 / FRAMES


def compare(name: str, plain: _Way, quick: _Way, us: Callable[[_Way], float]) -> None:
    """Take turns, so that a machine that changes its speed changes it for both."""
    rounds = [(us(plain), us(quick)) for _ in range(ROUNDS)]
    first, second = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{name:34}{first:8.1f} us plain{second:8.1f} us quick{first / second:7.1f} x")


def compare_link() -> None:
    """What a link does with a datagram."""
    header = semtech.read_header(b"\2\0\1\0" + bytes(8) + _PACKET)
    compare(
        "read a PUSH_DATA of one packet",
        lambda: [semtech.plain_push_data(header) for _ in range(FRAMES)],
        lambda: [semtech.parse_body(header) for _ in range(FRAMES)],
        us_each,
    )
    values = (b"", 1, 868_100_000, 7, 125_000, -35, 5.1, 5, None, None)
    frozen = dataclass(frozen=True, slots=True)(type("Reception", (), {"__annotations__": Reception.__annotations__}))
    compare(
        "make an object of ten fields",
        lambda: [frozen(*values) for _ in range(FRAMES)],
        lambda: [Reception(*values) for _ in range(FRAMES)],
        us_each,
    )


def compare_records(item: bytes) -> None:
    """What becomes of a payload of one reading."""
    kind = kinds.load("street_light")
    compare(
        "read its payload, judge the reading",
        lambda: [readings.decode_reading(kind, readings.unpack_payload(item)[0][0]) for _ in range(FRAMES)],
        lambda: [quick_payload.read("street_light", item) for _ in range(FRAMES)],
        us_each,
    )
    compare(
        "a payload that looks like one before",
        lambda: [quick_pack.plain("street_light", item) for _ in range(FRAMES)],
        lambda: [quick_pack.read("street_light", item) for _ in range(FRAMES)],
        us_each,
    )
    known = (bytes(8), 69_999, NO_GAPS, 69_999, 0, 0, bytes(8), 7, 0)
    arrival = Arrival(bytes(8), reading.decode(bytes(8), "street_light", item, 1.0), bytes(8), 8)
    compare(
        "a device's row after its next reading",
        _by_state,
        quick_row.after,
        lambda way: us_each(lambda: [way(known, arrival) for _ in range(FRAMES)]),
    )
    compare("an envelope beside its signature", envelope.seal, quick_envelope.seal, _sealing_us)
    compare("payload to SenML in one pass", _in_two_passes, _in_one_pass, lambda way: us_each(lambda: way(item)))


def main() -> None:
    """All of them."""
    compare_link()
    item = readings.encode_reading(
        kinds.load("street_light"), 70_000, {"lamp_on": True, "power_w": 41.5, "dim_pct": 80}, time_s=1_790_000_000
    )
    device = Session(ecb, _ADDRESS, *_KEYS)
    frames = [device.seal_uplink(1, item) for _ in range(FRAMES)]

    def opened(session: Session) -> None:
        for phy in frames:
            session.open_uplink(phy)

    compare(
        "open a frame of 30 bytes",
        lambda: opened(Session(ecb, _ADDRESS, *_KEYS)),
        lambda: opened(QuickSession(_ADDRESS, *_KEYS, 0, 0)),
        us_each,
    )
    compare_records(item)
    with _sockets() as (server, client):
        ways, name = _ways_out(server), "acknowledge: each, and in one piece"
        compare(name, *ways, lambda way: _acknowledging_us(way, client))
    print("beside a thread that computes, on the clock:")
    stop = threading.Event()
    other = threading.Thread(target=_compute, args=(stop,))
    other.start()
    try:
        with _sockets() as (server, client):
            plain, quick = (kind(server, 64, 2048) for kind in (bulk.OneByOne, bulk.AtOnce))
            compare("take a datagram, answer it", plain, quick, lambda way: answering_us(way, client))
    finally:
        stop.set()
        other.join()


def _in_one_pass(item: bytes) -> None:
    for _ in range(FRAMES):
        senml.encode(reading.decode(bytes(8), "street_light", item, 1_790_000_000.5).readings)


def _in_two_passes(item: bytes) -> None:
    quick = quick_pack.read, quick_pack.timed
    quick_pack.read = quick_pack.timed = lambda *_: None
    try:
        _in_one_pass(item)
    finally:
        quick_pack.read, quick_pack.timed = quick


def _by_state(known: quick_row.Row, arrival: Arrival) -> quick_row.Row:
    state = DeviceState.of_whole(known).copy()
    state.session, state.fcnt_up = arrival.session, arrival.fcnt_up
    state.held.add(arrival.payload.readings[0].seq)
    state.readings += 1
    return state.to_row(arrival.dev_eui)


def _sealing_us(seal: Callable[..., bytes]) -> float:
    signer = envelope.Signer("urn:dev:mac:0011223344556677", envelope.ED25519, bytes(32), lambda _: bytes(64))
    position = envelope.Position(bytes(8), 1000, 1015, bytes(32))
    payload = bytes(1400)
    return us_each(lambda: [seal(payload, position, 1_790_000_000, signer) for _ in range(FRAMES)])


def _ways_out(server: socket.socket) -> tuple[bulk_out.AtOnce, bulk_out.AtOnce]:
    """Many acknowledgements in one call, without and with the kernel that cuts one piece into them."""
    plain, quick = bulk_out.AtOnce(server), bulk_out.AtOnce(server)
    plain._segments.usable = False
    return plain, quick


def _acknowledging_us(acks: bulk_out.AtOnce, client: socket.socket) -> float:
    """Return processor time per acknowledgement, the best of some rounds of 64."""
    best_s, to = float("inf"), client.getsockname()
    for _ in range(200):
        began_s = time.thread_time()
        acks.send([(to, b"\2\0\0\1")] * 64)
        best_s = min(best_s, time.thread_time() - began_s)
        for _ in range(64):
            client.recv(8)
    return best_s / 64 * 1e6


def _compute(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(2000))


@contextmanager
def _sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client,
    ):
        server.setblocking(False)
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        yield server, client


def answering_us(datagrams: bulk.Datagrams, client: socket.socket) -> float:
    """Return microseconds on the clock for one datagram of many."""
    done, spent_s = 0, 0.0
    while done < FRAMES:
        for _ in range(_AT_A_TIME):
            client.send(_PACKET)
        began = time.perf_counter()
        came = datagrams.receive()
        datagrams.answer([(each.slot, b"\2\0\0\1") for each in came])
        spent_s += time.perf_counter() - began
        done += len(came)
    return spent_s * 1e6 / done


if __name__ == "__main__":
    main()
