# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The verifier from outside: signed messages in, readings or refusals out, and a report that hides nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.errors import (
    ConsumerError,
    Forked,
    LimitReached,
    Malformed,
    NotAuthentic,
    UnknownGateway,
    UnsupportedAlgorithm,
    UntrustedCertificate,
)
from consumer.inbox import Inbox
from consumer.report import Verified
from consumer.stream import WINDOW
from consumer.verify import Verifier
from tests.signing_gateway import DEVICE, EUI, STREAM_ID, TIME_S, City, SigningGateway, pack

CITY = City()
GATEWAY_URN = f"urn:dev:mac:{EUI.hex()}"
FIRST = [STREAM_ID, 1, 1, b""]


def fresh(**options: Any) -> tuple[SigningGateway, Verifier]:
    gateway = CITY.gateway()
    verifier = Verifier([CITY.certificate], **options)
    verifier.add_certificate(gateway.pem)
    return gateway, verifier


def test_a_signed_reading_comes_out_as_it_was_measured() -> None:
    gateway, verifier = fresh()
    verified = verifier.check(gateway.sign_next(2))
    assert (verified.gateway, verified.stream_id) == (GATEWAY_URN, STREAM_ID.hex())
    assert (verified.first, verified.last, verified.redelivered, verified.new_stream) == (1, 2, False, True)
    reading = verified.readings[1]
    assert (reading.dev_eui, reading.seq, reading.time, reading.record) == (DEVICE, 2, TIME_S + 1, 2)
    assert (reading.values, reading.units) == ({"lamp_on": True, "power": 41.5}, {"power": "W"})
    assert json.loads(reading.to_json())["values"] == {"lamp_on": True, "power": 41.5}
    report = verifier.report()
    assert report.clean
    assert json.loads(report.to_json())["clean"] is True
    assert (report.gateways, report.devices, report.readings) == (1, 1, 2)


def test_time_of_the_gateway_is_told_apart() -> None:
    gateway, verifier = fresh()
    records = [{-2: f"urn:dev:mac:{DEVICE}_", -3: TIME_S + 0.25, 0: "seq", 2: 7}, {0: "time_source", 3: "gateway"}]
    reading = verifier.check(gateway.envelope(cbor2.dumps(records), FIRST)).readings[0]
    assert (reading.time, reading.time_source, reading.values) == (TIME_S + 0.25, "gateway", {})


def test_certificate_must_be_there_first() -> None:
    gateway, verifier = CITY.gateway(), Verifier([CITY.certificate])
    message = gateway.sign_next()
    with pytest.raises(UnknownGateway):
        verifier.check(message)
    verifier.add_certificate(gateway.pem)
    assert verifier.check(message).first == 1
    assert verifier.report().clean


@pytest.mark.parametrize(
    ("changes", "unprotected", "error", "match"),
    [
        ({1: -8}, {}, UnsupportedAlgorithm, "-8"),
        ({1: -7}, {}, UnsupportedAlgorithm, "-7"),
        ({1: -9}, {}, UnsupportedAlgorithm, "does not fit"),
        ({1: None}, {}, UnsupportedAlgorithm, "None"),
        ({1: None}, {1: -19}, Malformed, "must be protected"),
        ({3: 110}, {}, Malformed, "content type"),
        ({3: None}, {3: 112}, Malformed, "must be protected"),
        ({2: [99], 99: 0}, {}, Malformed, "critical"),
        ({15: None}, {}, Malformed, "claims"),
        ({15: {1: "urn:dev:mac:AABBCCDDEEFF0011", 6: 1}}, {}, Malformed, "issuer"),
        ({15: {1: GATEWAY_URN, 6: 1.5}}, {}, Malformed, "issued-at"),
        ({15: {1: GATEWAY_URN, 6: True}}, {}, Malformed, "issued-at"),
        ({15: {1: GATEWAY_URN, 6: 1 << 62}}, {}, Malformed, "issued-at"),
        ({15: {1: GATEWAY_URN, 6: 1}}, {}, UntrustedCertificate, "signed at 1970"),
        ({15: {1: "urn:dev:mac:0000000000000001", 6: 1}}, {}, UntrustedCertificate, "is for"),
        ({34: None}, {}, Malformed, "x5t"),
        ({34: [-16, bytes(31)]}, {}, Malformed, "32 bytes"),
        ({34: [-16, bytes(32)]}, {}, UnknownGateway, "no certificate"),
        ({34: [-43, bytes(32)]}, {}, Malformed, "x5t"),
        ({-65537: None}, {}, Malformed, "place in the stream"),
        ({-65537: [STREAM_ID, 0, 0, b""]}, {}, Malformed, "record numbers"),
        ({-65537: [STREAM_ID, 2, 1, bytes(32)]}, {}, Malformed, "record numbers"),
        ({-65537: [STREAM_ID, 1, 1 << 40, b""]}, {}, Malformed, "record numbers"),
        ({-65537: [STREAM_ID, 1, 2, b""]}, {}, Malformed, "1 readings as records 1 to 2"),
        ({-65537: [STREAM_ID, 1, 1, bytes(32)]}, {}, Malformed, "hash"),
        ({-65537: [STREAM_ID, 2, 2, b""]}, {}, Malformed, "hash"),
        ({-65537: [b"short", 1, 1, b""]}, {}, Malformed, "stream id"),
    ],
)
def test_header_is_refused(
    changes: dict[Any, Any], unprotected: dict[Any, Any], error: type[ConsumerError], match: str
) -> None:
    gateway, verifier = fresh()
    with pytest.raises(error, match=match):
        verifier.check(gateway.envelope(pack([(DEVICE, 1)]), FIRST, changes, unprotected))
    report = verifier.report()
    assert report.readings == 0
    assert report.clean == (error is UnknownGateway)
    assert verifier.check(gateway.sign_next()).first == 1  # a refused message leaves nothing behind


def test_eddsa_only_by_option() -> None:
    gateway, verifier = fresh(accept_eddsa=True)
    assert verifier.check(gateway.envelope(pack([(DEVICE, 1)]), FIRST, {1: -8})).first == 1


BASE = {-2: f"urn:dev:mac:{DEVICE}_", -3: TIME_S, 0: "seq", 2: 1}


@pytest.mark.parametrize(
    ("records", "match"),
    [
        ([], "array of 1"),
        ({}, "array of 1"),
        ([1], "is a map"),
        ([{**BASE, -3: 10}], "absolute time"),
        ([{**BASE, -3: 1e300}], "absolute time"),
        ([{**BASE, -3: "now"}], "SenML number"),
        ([{**BASE, -2: "urn:dev:mac:70B3D57ED0001234_"}], "SenML name"),
        ([{**BASE, -2: "urn:dev:ow:70b3d57ed0001234_"}], "SenML name"),
        ([{**BASE, -2: "x" * 256}], "at most 255"),
        ([{**BASE, 2: 1.0}], "whole number"),
        ([{**BASE, 2: -1}], "whole number"),
        ([{**BASE, 2: True}], "SenML number"),
        ([{**BASE, -1: 11}], "version"),
        ([{**BASE, "secret_": 1}], "must be understood"),
        ([BASE, {0: "power", 2: float("nan")}], "finite"),
        ([BASE, {0: "power", 2: float("inf")}], "finite"),
        ([BASE, {0: "power"}], "exactly one value"),
        ([BASE, {0: "power", 2: 1, 3: "1"}], "exactly one value"),
        ([BASE, {0: "payload", 8: "text"}], "kind of SenML value"),
        ([BASE, {0: "payload", 8: bytes(256)}], "kind of SenML value"),
        ([BASE, {0: "power", 2: 1}, {0: "power", 2: 2}], "repeated"),
        ([BASE, *({0: f"f{n}", 2: n} for n in range(65))], "more than 64"),
        ([{**BASE, 0: "power"}], "without the number"),
        ([BASE, {0: "power", 2: 1, 6: 5}], "without the number"),
        ([BASE, {-4: "W", -5: 1e308, 0: "power", 2: 1e308}], "finite"),
    ],
)
def test_senml_is_refused(records: Any, match: str) -> None:
    gateway, verifier = fresh()
    with pytest.raises(Malformed, match=match):
        verifier.check(gateway.envelope(cbor2.dumps(records), FIRST))
    assert verifier.report().refused == {"Malformed": 1}


def test_senml_base_unit_and_value() -> None:
    gateway, verifier = fresh()
    records = [BASE, {-4: "Cel", -5: 20, 0: "temperature", 2: 1.5}, {0: "inside", 2: 2}, {0: "state", 1: "x", 3: "ok"}]
    reading = verifier.check(gateway.envelope(cbor2.dumps(records), FIRST)).readings[0]
    assert reading.values == {"temperature": 21.5, "inside": 22, "state": "ok"}
    assert reading.units == {"temperature": "Cel", "inside": "Cel", "state": "x"}


def test_redelivery_is_no_news() -> None:
    gateway, verifier = fresh()
    messages = [gateway.sign_next(3) for _ in range(3)]
    for message in [*messages, *messages]:
        verified = verifier.check(message)
    assert verified.redelivered
    report = verifier.report()
    assert (report.readings, report.redelivered, report.duplicates, report.clean) == (9, 3, 0, True)


def test_fork_same_place_other_bytes() -> None:
    gateway, verifier = fresh()
    verifier.check(gateway.sign_next(2))
    other = CITY.gateway()
    other.key, other.certificate = gateway.key, gateway.certificate
    with pytest.raises(Forked, match="other content"):
        verifier.check(other.sign([(DEVICE, 8), (DEVICE, 9)]))
    report = verifier.report()
    assert (report.forks, report.refused, report.clean, report.readings) == (1, {}, False, 2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_fork_by_another_past(order: tuple[int, int]) -> None:
    gateway, verifier = fresh()
    first = gateway.sign_next(2)
    gateway.previous = hashlib.sha256(b"another past").digest()
    messages = [first, gateway.sign_next(2)]
    verifier.check(messages[order[0]])
    with pytest.raises(Forked, match="follow"):
        verifier.check(messages[order[1]])
    assert verifier.report().forks == 1


def test_duplicate_reading_in_another_record() -> None:
    gateway, verifier = fresh()
    verifier.check(gateway.sign([(DEVICE, 5), (DEVICE, 6)]))
    verified = verifier.check(gateway.sign([(DEVICE, 6), (DEVICE, 7)]))
    assert [reading.duplicate for reading in verified.readings] == [True, False]
    report = verifier.report()
    assert (report.duplicates, report.clean) == (1, False)


def test_gap_and_from_start() -> None:
    gateway, late = fresh()
    _, strict = fresh(from_start=True)
    strict.add_certificate(gateway.pem)
    messages = [gateway.sign_next(2) for _ in range(4)]
    for verifier in (late, strict):
        verifier.check(messages[1])
        verifier.check(messages[3])
    assert (late.report().missing, late.report().streams[0].missing_ranges) == (2, [(5, 6)])
    assert (strict.report().missing, strict.report().streams[0].missing_ranges) == (4, [(1, 2), (5, 6)])
    for verifier in (late, strict):
        verifier.check(messages[0])
        verifier.check(messages[2])
        assert (verifier.report().missing, verifier.report().late, verifier.report().clean) == (0, 2, True)


def test_new_stream_is_reported() -> None:
    gateway, verifier = fresh()
    assert verifier.check(gateway.sign_next()).new_stream
    assert not verifier.check(gateway.sign_next()).new_stream
    gateway.stream_id, gateway.next_record, gateway.previous = bytes(8), 1, b""
    assert verifier.check(gateway.sign_next()).new_stream
    assert [stream.stream_id for stream in verifier.report().streams] == [STREAM_ID.hex(), bytes(8).hex()]


def test_memory_is_bounded_and_says_so() -> None:
    gateway, verifier = fresh(max_streams=1, max_devices=2)
    devices = [f"{number:016x}" for number in range(1, 4)]
    first = gateway.sign([(devices[0], 1)])
    verifier.check(first)
    for _ in range(WINDOW):
        verifier.check(gateway.sign([(devices[0], gateway.next_record)]))
    assert verifier.check(first).redelivered  # too long ago to compare: taken as seen, and counted
    assert (verifier.report().undecided, verifier.report().clean) == (1, False)
    for device in devices:
        verifier.check(gateway.sign([(device, 1_000_000)]))
    assert verifier.report().devices == 2
    gateway.stream_id, gateway.next_record, gateway.previous = bytes(8), 1, b""
    with pytest.raises(LimitReached):
        verifier.check(gateway.sign_next())


def test_another_gateways_key_is_not_authentic() -> None:
    gateway, verifier = fresh()
    gateway.key = CITY.gateway().key
    with pytest.raises(NotAuthentic):
        verifier.check(gateway.sign_next())
    assert verifier.report().refused == {"NotAuthentic": 1}


def test_inbox_holds_until_the_certificate_comes() -> None:
    gateway, inbox = CITY.gateway(), Inbox(Verifier([CITY.certificate]), max_held=3)
    messages = [gateway.sign_next() for _ in range(4)]
    assert [inbox.message(message) for message in [*messages, messages[3]]] == [[]] * 5
    assert (inbox.held, inbox.dropped) == (3, 1)
    outcomes = inbox.certificate(gateway.pem)
    assert [outcome.first for outcome in outcomes if isinstance(outcome, Verified)] == [2, 3, 4]
    assert inbox.held == 0
    assert isinstance(inbox.message(b"noise")[0], Malformed)
    assert isinstance(inbox.certificate(b"noise")[0], Malformed)
    assert inbox.verifier.report().refused == {"Malformed": 2}


def test_inbox_bounds_bytes() -> None:
    gateway, inbox = CITY.gateway(), Inbox(Verifier([CITY.certificate]), max_held_bytes=1500)
    for _ in range(50):
        inbox.message(gateway.sign_next(4))
    assert inbox.held + inbox.dropped == 50
    assert 0 < inbox.held < 5


@settings(max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.randoms(use_true_random=False), st.data())
def test_any_order_any_repetition_any_loss(sizes: list[int], shuffle: Any, data: st.DataObject) -> None:
    gateway, verifier = fresh(from_start=True)
    ranges = []
    messages = []
    for size in sizes:
        ranges.append((gateway.next_record, gateway.next_record + size - 1))
        messages.append(gateway.sign_next(size))
    deliveries = data.draw(st.lists(st.sampled_from(range(len(sizes))), max_size=30))
    shuffle.shuffle(deliveries)
    for index in deliveries:
        verifier.check(messages[index])
    got = sorted(set(deliveries))
    report = verifier.report()
    highest = max((ranges[index][1] for index in got), default=0)
    received = sum(sizes[index] for index in got)
    assert report.readings == received
    assert report.missing == highest - received
    assert report.redelivered == len(deliveries) - len(got)
    assert (report.forks, report.duplicates, report.undecided) == (0, 0, 0)
    assert report.clean == (highest == received)


FUZZ_GATEWAY, _ = fresh()
FUZZ_MESSAGE = FUZZ_GATEWAY.sign_next(3)


@settings(max_examples=400)
@given(st.data())
def test_mutated_messages_never_raise_anything_else(data: st.DataObject) -> None:
    verifier = Verifier([CITY.certificate], accept_eddsa=True)
    verifier.add_certificate(FUZZ_GATEWAY.pem)
    message = bytearray(FUZZ_MESSAGE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(message)))
        message[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        verified = verifier.check(bytes(message))
    except ConsumerError:
        assert bytes(message) != FUZZ_MESSAGE
    else:  # what passes says the same: only what the signature does not cover may differ
        assert [reading.seq for reading in verified.readings] == [1, 2, 3]


@settings(max_examples=300)
@given(st.binary(max_size=120), st.binary(max_size=120))
def test_signed_noise_never_raises_anything_else(protected: bytes, payload: bytes) -> None:
    """A gateway gone mad signs noise: its signature is good, its content is not."""
    gateway, verifier = fresh()
    for message in (gateway.sign_raw(protected, payload), gateway.envelope(payload, FIRST)):
        with pytest.raises(ConsumerError):
            verifier.check(message)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-8, 40) | st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.sampled_from([1, 2, 3, 15, 34, -65537]), json_like, json_like)
def test_signed_odd_values_never_raise_anything_else(label: int, header: Any, payload: Any) -> None:
    gateway, verifier = fresh()
    good = pack([(DEVICE, 1)])
    for message in (
        gateway.envelope(good, FIRST, {label: header}),
        gateway.envelope(cbor2.dumps([BASE, payload]), FIRST),
        gateway.envelope(cbor2.dumps([{**BASE, label if label < 9 else 0: payload}]), FIRST),
    ):
        try:
            verifier.check(message)
        except ConsumerError:
            continue
