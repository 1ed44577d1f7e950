# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What takes a batch at once, for speed, does what is done frame by frame, whatever comes and in whatever order."""

import asyncio
import itertools
import random
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.wire import cbor, kinds, maccommands
from firmware.wire.errors import WireError
from firmware.wire.session import Session
from gateway.clock import SystemClock
from gateway.errors import Refused
from gateway.inbox import Inbox
from gateway.links import Uplink
from gateway.network.aes import ecb
from gateway.network.channels import ChannelPlan
from gateway.network.dedup import COOLDOWN_S, Deduplicator, Verdict
from gateway.network.keyring import Keyring
from gateway.network.live import Opened
from gateway.network.radio_state import RadioState
from gateway.network.register import KnownDevices
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from gateway.operate.counters import Counters
from gateway.radio import Reception
from gateway.records import quick_pack, reading, senml
from gateway.records.quick_layout import Looks, look_of
from tests.outbox_rig import TestClock

_ADDRESS = 0x02000000
_KINDS = ("street_light", "waste_bin", "traffic")


@dataclass(frozen=True)
class _Device:
    dev_eui: bytes
    kind: str = "street_light"
    state: str = "registered"
    join_eui: bytes = bytes(8)


class _Register:
    """Three devices; the last is retired at odd versions."""

    def __init__(self) -> None:
        self.version_now = 0

    def device(self, dev_eui: bytes) -> _Device | None:
        retired = dev_eui == bytes([2] * 8) and self.version_now % 2
        return _Device(dev_eui, state="retired" if retired else "registered")

    def app_key(self, dev_eui: bytes) -> bytes:
        raise NotImplementedError

    def version(self) -> int:
        return self.version_now


class _Network:
    """A network server over three sessions, one of them not confirmed yet."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.clock, self.register = TestClock(), _Register()
        self.store = SessionStore(folder / "sessions.db", Keyring(bytes(32)))
        for number in range(3):
            keys = bytes([number] * 16), bytes([16 + number] * 16)
            self.store.add(bytes([number] * 8), _ADDRESS + number, keys, 1, RadioState(), ChannelPlan())
        self.store.commit()
        self.server = NetworkServer(KnownDevices(self.register, self.clock), self.store, 1, random.Random(1))

    def said(self, uplink: Uplink, *, quickly: bool) -> object:
        try:
            opened = self.server.quickly()(uplink) if quickly else None
            heard = opened or self.server.receive(uplink)
        except Refused as error:
            return type(error), str(error)
        assert isinstance(heard, Opened)
        return {each.name: getattr(heard, each.name) for each in fields(heard) if each.name != "session"}

    def state(self) -> object:
        found: list[object] = [self.store._advanced, self.server.refusals()]
        for address, session in self.server._live.items():
            last = session.last and vars(session.last)
            told = (session.last_uplink, session.repeats, session.taken, session.receipt_asked, session.alarm)
            found.append((address, session.wire.fcnt_up, last, *told, session.mac, session.radio, session.confirmed))
        return found


_ACTIONS = st.fixed_dictionaries(
    {
        "device": st.integers(0, 3),
        "ahead": st.sampled_from([0, 0, 0, 0, 1, 40, 0xFFFE, 0xFFFF, 0x10000, -1, -2]),
        "fport": st.none() | st.sampled_from([0, 1, 1, 1, 2, 3, 224]),
        "payload": st.binary(max_size=60),
        "fopts": st.sampled_from([b"", b"", b"", maccommands.link_check_req(), b"\x07\x00"]),
        "flags": st.sampled_from(
            [{}, {}, {}, {"adr": True}, {"ack": True}, {"adr_ack_req": True}, {"confirmed": True}]
        ),
        "flip": st.none() | st.none() | st.integers(0, 500),
        "again": st.sampled_from([False, False, False, True]),
        "wired": st.booleans(),
        "snr": st.integers(-10, 10),
        "sf": st.sampled_from([7, 7, 9]),
        "then": st.sampled_from(["", "", "", "commit", "rollback", "register", "hour"]),
        "taken": st.booleans(),
    }
)


def _frame(action: dict[str, Any], devices: list[Session], last: dict[int, bytes]) -> bytes:
    number = action["device"]
    if action["again"] and number in last:
        return last[number]
    device, fport = devices[number], action["fport"]
    device.fcnt_up = max(0, device.fcnt_up + action["ahead"])
    fopts = b"" if fport == 0 else action["fopts"]
    phy = bytearray(
        device.seal_uplink(fport, b"" if fport is None else action["payload"], fopts=fopts, **action["flags"])
    )
    if action["flip"] is not None:
        phy[action["flip"] % len(phy)] ^= 1 << action["flip"] % 8
    last[number] = bytes(phy)
    return last[number]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(_ACTIONS, max_size=25))
def test_frames_are_opened_alike(tmp_path_factory: pytest.TempPathFactory, actions: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("open")
    plain, quick = _Network(folder / "plain"), _Network(folder / "quick")
    devices = [Session(ecb, _ADDRESS + each, bytes([each] * 16), bytes([16 + each] * 16)) for each in range(4)]
    last: dict[int, bytes] = {}
    with closing(plain.store), closing(quick.store):
        for action in actions:
            phy = _frame(action, devices, last)
            radio = Reception(bytes(8), 1, 868_100_000, action["sf"], 125_000, -80, action["snr"], 1)
            now_s = plain.clock.monotonic
            uplink = Uplink("air", "gw", phy, 1_790_000_000 + now_s, None if action["wired"] else radio, now_s)
            assert quick.said(uplink, quickly=True) == plain.said(uplink, quickly=False)
            assert quick.state() == plain.state()
            for each in (plain, quick):
                for session in each.server._live.values():
                    session.taken = action["taken"]
                each.clock.sleep(3600 if action["then"] == "hour" else 0.1)
                if action["then"] == "register":
                    each.register.version_now += 1
                    each.clock.sleep(2.0)  # for a second either may go on with what it knows, and they look in turns
                elif action["then"] in ("commit", "rollback"):
                    getattr(each.server, action["then"])()


def _plainly(monkeypatch: pytest.MonkeyPatch, kind: str, payload: bytes, at: float) -> object:
    with monkeypatch.context() as patched:
        for name in ("read", "timed"):
            patched.setattr(quick_pack, name, lambda *_: None)
        return _read(kind, payload, at)


def _read(kind: str, payload: bytes, at: float) -> object:
    try:
        found = reading.decode(bytes(8), kind, payload, at)
    except WireError as error:
        return type(error), str(error)
    values = [dict(each.values) for each in found.readings]
    return found, values, [list(each) for each in values], senml.encode(found.readings)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(_KINDS), st.data())
def test_a_payload_becomes_the_same_reading_and_the_same_senml(
    monkeypatch: pytest.MonkeyPatch, kind: str, data: st.DataObject
) -> None:
    draw = data.draw
    item: dict[int, Any] = {0: draw(st.integers(1, 2**32 - 1))}
    item |= draw(st.sampled_from([{}, {1: 1_790_000_000}, {1: 77}, {2: 3600}, {1: 1_790_000_000, 2: 3}]))
    chosen = draw(st.sets(st.sampled_from(kinds.all_fields(kinds.load(kind))), max_size=12))
    for _, key, scale, low, high in sorted(chosen, key=lambda field: field[1]):
        item[key] = draw(st.booleans() if scale == 0 else st.integers(low, high) | st.sampled_from([low, high]))
    payload = cbor.dumps(item) + draw(st.sampled_from([b"", b"", b"\x05", b"\x20", b"\x18\x05", b"\xa1\x00\x01"]))
    usual = payload[-1:] not in (b"\x20",) and 2 not in item.keys() & {1}
    assert not usual or quick_pack.read(kind, cbor.dumps(item)) is not None or (1 in item and 2 in item)
    if (flip := draw(st.none() | st.integers(0, 8 * len(payload) - 1))) is not None:
        broken = bytearray(payload)
        broken[flip // 8] ^= 1 << flip % 8
        payload = bytes(broken)
    at = draw(st.sampled_from([1_790_000_000.5, 1_790_000_000.0, 3.0]))
    assert _read(kind, payload, at) == _plainly(monkeypatch, kind, payload, at)


@given(st.sampled_from(_KINDS), st.binary(max_size=20))
def test_no_bytes_are_a_reading_only_because_they_are_read_quickly(kind: str, payload: bytes) -> None:
    for data in (payload, b"\xa2\x00\x05" + payload):
        if quick_pack.read(kind, data) is not None:
            assert len(reading.decode(bytes(8), kind, data, 1.8e9).readings) == 1


@given(st.sampled_from(_KINDS), st.data())
def test_a_look_reads_what_looks_like_it_as_it_is_read_plainly(kind: str, data: st.DataObject) -> None:
    item: dict[int, Any] = {0: data.draw(st.integers(1, 70_000))}
    item |= data.draw(st.sampled_from([{}, {1: 1_790_000_000}, {2: 7}, {2: 300}]))
    chosen = data.draw(st.sets(st.sampled_from(kinds.all_fields(kinds.load(kind))), max_size=12))
    for _, key, scale, low, high in sorted(chosen, key=lambda field: field[1]):
        near = st.integers(low, high) | st.sampled_from([low, high]) | st.integers(max(low, -30), min(high, 300))
        item[key] = data.draw(st.booleans() if scale == 0 else near)
    payload = cbor.dumps(item) + data.draw(st.sampled_from([b"", b"\x05", b"\x18\x63", b"\x19\x01\x00"]))
    first = quick_pack.plain(kind, payload)
    if first is None:
        return
    looks = Looks()
    looks.add(kind, payload, look_of(payload, *quick_pack._table(kind)))
    assert looks.read(kind, payload) == first
    places = data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=6))
    for at, change in itertools.product({1, 2, *places} & set(range(len(payload))), range(256)):
        other = payload[:at] + bytes((change,)) + payload[at + 1 :]
        found = looks.read(kind, other)
        assert found in (None, quick_pack.plain(kind, other))
        assert looks.timed(kind, bytes(8), other) == _timed(found)


def _timed(packed: quick_pack.Packed | None) -> object:
    """What a payload with a time is, by way of its body."""
    if packed is None or packed[2] is None:
        return None
    seq, seq_cbor, time_s, time_cbor, _, fields, body, oldest = packed
    made = senml.packed(bytes(8), seq_cbor, time_cbor, body, fields.bit_count(), from_gateway=False)
    return seq, time_s, made, fields, oldest


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), max_size=10),
    st.just(0.0) | st.floats(0, 0.5),
    st.floats(0, 1),
)
def test_receptions_of_one_moment_gather_as_they_do_one_by_one(
    moments: list[list[int]], window_s: float, step_s: float
) -> None:
    single, together = Deduplicator(window_s, COOLDOWN_S), Deduplicator(window_s, COOLDOWN_S)
    for number, phys in enumerate(moments):
        now_s = 100.0 + number * step_s
        uplinks = [Uplink("air", f"gw{slot}", bytes([phy]), 1.0, None, now_s) for slot, phy in enumerate(phys)]
        verdicts = [single.add(each, now_s) for each in uplinks]
        if together.at_once(uplinks, now_s):
            assert (single.take(now_s), set(verdicts)) == (uplinks, {Verdict.FIRST})
            continue
        odd = together.add_all(uplinks, now_s)
        assert odd == {each: verdicts.count(each) for each in odd}
        assert together.take(now_s) == single.take(now_s)
        assert together.due_s == single.due_s


def test_what_waited_in_the_kernel_waits_no_longer_for_company() -> None:
    async def scenario() -> None:
        inbox = Inbox(0.0, SystemClock(), Counters())
        uplink = Uplink("air", "gw", b"frame", 1.0, None, SystemClock().monotonic_s())
        inbox.many([uplink], waited_s=1000.0)
        async with asyncio.timeout(60):
            assert await inbox.gather(900.0, 500) == ([uplink], False)

    asyncio.run(scenario())


def test_an_inbox_says_when_it_is_full_and_drops_nothing_before() -> None:
    async def scenario() -> None:
        counters = Counters()
        inbox = Inbox(0.0, SystemClock(), counters)
        line = [Uplink("line", "port", bytes([number % 251]), 1.0) for number in range(5000)]
        for uplink in line[:2048]:
            assert not inbox.full
            inbox(uplink)
        assert inbox.full
        for uplink in line[2048:]:
            inbox(uplink)
        assert (inbox.qsize(), counters.snapshot()["frames"]) == (4096, {"dropped_queue_full": 904, "heard": 5000})
        taken = []
        while inbox.qsize():
            batch, last = await inbox.gather(0.001, 500)
            assert not last
            taken += [each.phy for each in batch]
        assert taken == [each.phy for each in line[:4096]]
        inbox.probe()
        assert await inbox.gather(0.001, 500) == ([], False)
        inbox(line[0])
        inbox.close()
        inbox(line[1])
        batch, last = await inbox.gather(0.001, 500)
        assert ([each.phy for each in batch], last) == ([line[0].phy], True)

    asyncio.run(scenario())


def test_the_usual_frame_goes_the_quick_way(tmp_path: Path) -> None:
    network = _Network(tmp_path / "one")
    device = Session(ecb, _ADDRESS, bytes(16), bytes([16] * 16))
    with closing(network.store):
        first, *others = [
            Uplink("air", "gw", device.seal_uplink(1, bytes(size)), 1.79e9) for size in (1, 16, 17, 33, 48)
        ]
        assert network.server.quickly()(first) is None  # it confirms the session
        network.server.receive(first)
        for each in others:
            opened = network.server.quickly()(each)
            assert opened is not None
            assert opened.payload == bytes(len(each.phy) - 13)
