# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What leaves the gateway by the quick way is, byte for byte, what leaves it by the plain one."""

import random
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.platforms._beside import Places, place
from gateway.platforms._gathered import Gathered
from gateway.platforms._properties import PublishProperties, length
from gateway.platforms._quick_publish import QuickClient, packet, pubacks
from gateway.records import envelope, quick_envelope

_NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, 2**33))


@given(
    st.binary(max_size=70_000), st.tuples(_NUMBERS, _NUMBERS), st.sampled_from([b"", bytes(range(32))]),
    st.one_of(st.integers(0, 2**33), st.just(1_790_000_000)), st.sampled_from([8, 8, 8, 7]), st.sampled_from([64, 63]),
)  # fmt: skip
def test_an_envelope_is_sealed_alike(
    payload: bytes, records: tuple[int, int], previous: bytes, at_s: int, id_bytes: int, signature_bytes: int
) -> None:
    def sign(data: bytes) -> bytes:
        return random.Random(data).randbytes(signature_bytes)  # it depends on all that is signed

    signer = envelope.Signer("urn:dev:mac:0011223344556677", envelope.ED25519, bytes(range(32)), sign)
    position = envelope.Position(bytes(range(id_bytes)), *records, previous)
    assert quick_envelope.seal(payload, position, at_s, signer) == envelope.seal(payload, position, at_s, signer)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["readings", "readings", "readings", "loss", "ended", "new", "certificate"]),
        st.integers(1, 400),
        st.sampled_from([1_790_000_000, 1_790_000_000, 1_790_000_001, 5, 2**31, 2**33]),
        st.binary(max_size=300),
    ),
    min_size=1,
    max_size=20,
)
"""What becomes the next envelope, how many records it has, when it is sealed, and its payload."""


class Stream:
    """Envelopes as an outbox makes them: numbered and chained; a new stream begins with a notice, or without one."""

    def __init__(self, seed: int, first: int) -> None:
        self.rng = random.Random(seed)
        self.first, self.previous, self.stream_id = first, b"" if first == 1 else self.rng.randbytes(32), b""
        self.certificate()
        self.stream_id = self.rng.randbytes(8)

    def certificate(self) -> None:
        sha256 = self.rng.randbytes(32)
        self.signer = envelope.Signer("urn:dev:mac:0011223344556677", envelope.ED25519, sha256, lambda _: bytes(64))

    def next(self, step: str, count: int, at_s: int, payload: bytes) -> tuple[bytes, list[tuple[str, str]]]:
        """Return an envelope, and where it stands."""
        if step == "certificate":
            self.certificate()
        if step in ("ended", "new"):
            ended, count = envelope.Ended(self.stream_id, self.first - 1, 3, None), 1
            self.first, self.previous, self.stream_id = 1, b"", self.rng.randbytes(8)
        position = envelope.Position(self.stream_id, self.first, self.first + count - 1, self.previous)
        if step == "ended":
            message = envelope.seal_end(position, ended, at_s, self.signer)
        elif step == "loss":
            message = envelope.seal_loss(position, self.rng.randbytes(32), "too_old", at_s, self.signer)
        else:
            message = envelope.seal(payload, position, at_s, self.signer)
        self.first, self.previous = self.first + count, envelope.digest(message)
        records = f"{position.first}-{position.last}"
        return message, [("gateway", self.signer.issuer), ("stream", self.stream_id.hex()), ("records", records)]


@given(_STEPS, st.integers(0, 2**32), st.sampled_from([1, 1, 20, 250, 65_500, 2**32 - 900, 2**33]))
def test_where_an_envelope_stands_is_read_alike(steps: list[Any], seed: int, first: int) -> None:
    """All that an outbox gives: what lies damaged in it never comes so far (its digest is looked at first)."""
    stream, places = Stream(seed, first), Places()
    for step in steps:
        message, stands = stream.next(*step)
        assert places.of(message) == place(message) == stands


@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(1, 400), st.integers(2**30, 2**32 - 1)), min_size=2))
def test_of_a_stream_one_envelope_is_read_the_long_way(seed: int, steps: list[tuple[int, int]]) -> None:
    stream, places = Stream(seed, 1), Places()
    for at, (count, at_s) in enumerate(steps):
        message, _ = stream.next("readings", count, at_s, b"")
        look = places._look
        assert (look is not None and look.place(message) is not None) == (at > 0)
        places.of(message)
        assert places._look is look or at == 0


@given(st.integers(0, 2**32), st.integers(0, 200), st.integers(0, 255))
@example(0, 118, 65)
def test_a_changed_byte_is_no_error_and_what_opens_all_the_same_is_read_alike(seed: int, at: int, byte: int) -> None:
    """No outbox gives it. The long way says nothing of what does not open to its end, the quick way may."""
    stream, places = Stream(seed, 1), Places()
    for _ in range(2):
        places.of(stream.next("readings", 24, 1_790_000_000, b"payload")[0])
    changed = bytearray(stream.next("readings", 256, 1_790_000_000, b"payload")[0])
    changed[at % len(changed)] = byte
    said, right = places.of(bytes(changed)), place(bytes(changed))
    assert said == right or not right


class Line:
    """A socket that takes everything and gives what was put into it."""

    def __init__(self, came: bytes = b"") -> None:
        self.sent, self.came = b"", came

    def send(self, data: bytes) -> int:
        self.sent += bytes(data)
        return len(data)

    def close(self) -> None:
        self.sent = b""

    def recv(self, size: int) -> bytes:
        if not self.came:
            raise BlockingIOError
        given, self.came = self.came[:size], self.came[size:]
        return given


def client_on(line: Line, version: int = 5) -> QuickClient:
    """A client that believes to be connected."""
    client = QuickClient(CallbackAPIVersion.VERSION2, "me", protocol=version)
    client.max_inflight_messages_set(0)
    client._sock = Gathered(line)
    client._state = paho._ConnectionState.MQTT_CS_CONNECTED
    client.on_socket_register_write = lambda *_: None
    client.quick = set()
    return client


@given(
    st.sampled_from(["lykta/v1/0011223344556677/records", "a", "gata/ö"]), st.binary(max_size=20_000), st.booleans(),
    st.integers(0, 65_534), st.sampled_from([4, 5]), st.integers(0, 0xFFFFFFFF),
)  # fmt: skip
def test_a_publication_is_what_paho_makes_of_it(
    topic: str, payload: bytes, retain: bool, before: int, version: int, expiry_s: int
) -> None:
    lines = Line(), Line()
    ordinary, quick = (client_on(line, version) for line in lines)
    ordinary._last_mid = quick._last_mid = before
    properties, packed = None, b""
    if version == paho.MQTTv5:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/cose"
        if expiry_s:
            properties.MessageExpiryInterval = expiry_s
        packed = PublishProperties("application/cose", expiry_s).pack()
    ordinary.publish(topic, payload, 1, retain, properties)
    ordinary.loop_write()
    mid = quick.quickly(topic.encode(), payload, packed, retain=retain)
    assert quick.socket().flush()
    body = lines[0].sent
    # The order of properties is free (MQTT 5 section 2.2.2.2); all else is the same.
    assert sorted(lines[1].sent) == sorted(body) if packed else lines[1].sent == body
    assert mid == before + 1
    assert quick.quick == {mid}


def test_what_paho_has_to_send_goes_first_and_numbers_are_never_used_twice() -> None:
    line = Line()
    client = client_on(line)
    client.publish("first", b"1", 1)
    assert client.quickly(b"second", b"2", b"\0", retain=False) is None, "it would overtake"
    client.loop_write()
    client._last_mid = 65_535
    client.quick |= {2, 3}
    assert client.quickly(b"third", b"3", b"\0", retain=False) == 4, "1 is paho's, 2 and 3 are ours"
    client._last_mid = 3
    assert client.publish("fourth", b"4", 1).mid == 5
    client.loop_write()
    client.socket().flush()
    assert line.sent.index(b"first") < line.sent.index(b"third") < line.sent.index(b"fourth")


def _puback(mid: int, reason: int | None, properties: bytes | None) -> bytes:
    body = struct.pack(">H", mid)
    if reason is not None:
        body += bytes((reason,))
        if properties is not None:
            body += length(len(properties)) + properties
    return b"\x40" + length(len(body)) + body


_REASON_STRING = b"\x1f\x00\xc8" + b"x" * 200
_ACKS = st.tuples(
    st.integers(1, 12), st.sampled_from([None, 0, 0x10, 0x80, 0x97]), st.sampled_from([None, b"", _REASON_STRING])
)


@given(st.lists(_ACKS, max_size=12), st.integers(0, 2**32), st.sampled_from([4, 4, 70_000]))
def test_acknowledgements_are_taken_as_paho_takes_them(acks: list[Any], seed: int, most: int) -> None:
    """Whole or in parts, ours and paho's own in any order, with properties or without."""
    rng, line = random.Random(seed), Line()
    client = client_on(line)
    client.quick = {1, 2, 3, 4, 5, 6}
    paho_mids = {7, 8, 9}
    client._last_mid = 6
    for _ in paho_mids:
        client.publish("t", b"", 1)
    client.loop_write()
    ours: list[tuple[int, int]] = []
    theirs: list[int] = []
    client.on_quick = lambda mid, reason: ours.append((mid, reason))
    client.on_publish = lambda _c, _d, mid, _r, _p: theirs.append(mid)
    came = b"".join(_puback(*ack) for ack in acks)
    at = 0
    while at < len(came):
        some = rng.randrange(1, most)
        line.came += came[at : at + some]
        at += some
        while line.came or client.socket().pending():
            if not client.take_pubacks():
                client.loop_read()
    expected = {}
    for mid, reason, _ in acks:
        expected.setdefault(mid, reason or 0)
    assert ours == [each for each in expected.items() if each[0] <= 6]
    assert theirs == [mid for mid in expected if mid in paho_mids]
    assert client.quick == {1, 2, 3, 4, 5, 6} - set(expected)


@given(st.binary(max_size=40), st.sets(st.integers(0, 65_535)))
def test_bytes_of_any_kind_are_left_to_paho(data: bytes, ours: set[int]) -> None:
    found, size = pubacks(data, ours)
    assert {mid for mid, _ in found} <= ours
    assert 0 <= size <= len(data)
    assert (size == 0) == (not found)


@pytest.mark.parametrize("size", [0, 100, 128, 20_000])
def test_a_packet_says_how_long_it_is(size: int) -> None:
    made = packet(b"t", 1, b"", bytes(size), retain=True)
    assert made[0] == 0x33
    assert made.endswith(b"\x00\x01t\x00\x01" + bytes(size))
