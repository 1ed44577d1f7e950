# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The console's frames: who does not hold the key, repeats or turns a frame round is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import console
from firmware.wire.errors import Malformed, NotAuthentic, Replayed, WireError
from gateway.network.aes import ecb

KEY = console.derived_key(ecb(b"0123456789abcdef"))
OTHER = console.derived_key(ecb(b"0123456789abcdeF"))
PERSON, DEVICE = b"person..", b"device.."


def channels(person: bytes = PERSON, device: bytes = DEVICE) -> tuple[console.Channel, console.Channel]:
    return (
        console.Channel(ecb, KEY, person, device, console.DOWN, console.UP),
        console.Channel(ecb, KEY, person, device, console.UP, console.DOWN),
    )


def test_a_conversation() -> None:
    hello = console.hello(ecb(KEY), PERSON)
    assert console.kind(hello) == console.HELLO
    assert console.open_hello(ecb(KEY), hello) == PERSON
    challenge = console.challenge(ecb(KEY), PERSON, DEVICE)
    assert console.open_challenge(ecb(KEY), challenge, PERSON) == DEVICE
    with pytest.raises(NotAuthentic):
        console.open_hello(ecb(OTHER), hello)
    with pytest.raises(Replayed):
        console.open_challenge(ecb(KEY), challenge, b"another.")
    with pytest.raises(WireError):
        console.open_challenge(ecb(KEY), hello, PERSON)


@given(st.integers(0, 255), st.binary(max_size=console.MAX_PAYLOAD))
def test_what_is_sealed_is_opened_once_and_by_the_other_side_only(port: int, payload: bytes) -> None:
    person, device = channels()
    frame = person.seal(port, payload)
    assert len(frame) == 13 + len(payload)
    assert len(payload) < 4 or payload not in frame
    with pytest.raises(WireError):
        person.open(frame)
    assert device.open(frame) == (port, payload)
    with pytest.raises(Replayed):
        device.open(frame)
    _, later = channels(device=b"device2.")  # the same frame in another conversation
    with pytest.raises(NotAuthentic):
        later.open(frame)


@given(st.binary(max_size=60), st.data())
def test_a_changed_frame_is_refused(payload: bytes, data: st.DataObject) -> None:
    person, device = channels()
    frame = bytearray(person.seal(3, payload))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WireError):
        device.open(bytes(frame))


@given(st.binary(max_size=300))
def test_garbage_is_refused(frame: bytes) -> None:
    _, device = channels()
    for take in (
        device.open,
        lambda phy: console.open_hello(ecb(KEY), phy),
        lambda phy: console.open_challenge(ecb(KEY), phy, PERSON),
    ):
        with pytest.raises(WireError):
            take(frame)
    assert console.kind(b"\xe0\x00") is None
    assert console.kind(b"\x40" + bytes(20)) is None


def test_a_payload_that_fits_no_frame_is_refused() -> None:
    with pytest.raises(Malformed):
        channels()[0].seal(3, bytes(console.MAX_PAYLOAD + 1))
