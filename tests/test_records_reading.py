# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Payload bytes to readings: good ones, ones that no longer fit their kind, and ones that are nothing at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import cbor, readings
from firmware.wire.errors import Malformed
from gateway.records import reading
from tests.gateway_rig import KIND, encoded

DEVICE = bytes.fromhex("70b3d57ed0000001")
NOW_S = 1_790_000_100.25


def decode(payload: bytes) -> reading.Payload:
    return reading.decode(DEVICE, "street_light", payload, NOW_S)


def test_a_reading_keeps_its_own_time_and_number() -> None:
    payload = decode(readings.pack([encoded(7), encoded(8)], oldest=5))
    assert [each.seq for each in payload.readings] == [7, 8]
    assert payload.oldest == 5
    first = payload.readings[0]
    assert (first.time_s, first.time_source, first.received_at) == (1_790_000_007, "device", NOW_S)
    assert first.values == {"lamp_on": False, "power_w": 0.7, "temperature_c": -3.5}


def test_without_a_clock_the_age_counts_back_from_reception() -> None:
    aged = readings.encode_reading(KIND, 1, {"power_w": 1}, age_s=60)
    ageless = readings.encode_reading(KIND, 2, {"power_w": 1})
    found = decode(aged + ageless).readings
    assert [(each.time_s, each.time_source) for each in found] == [(NOW_S - 60, "gateway"), (NOW_S, "gateway")]


def test_a_device_clock_from_the_seventies_is_not_believed() -> None:
    """SenML reads times below 2**28 as relative to now (RFC 8428 section 4.5.3)."""
    old = readings.encode_reading(KIND, 1, {"power_w": 1}, time_s=1000)
    assert decode(old).readings[0].time_source == "gateway"


def test_an_age_beyond_the_epoch_still_gives_an_absolute_time() -> None:
    old = readings.encode_reading(KIND, 1, {"power_w": 1}, age_s=0xFFFFFFFF)
    assert decode(old).readings[0].time_s == reading.ABSOLUTE_S


@pytest.mark.parametrize("item", [{0: 4, 99: 1}, {0: 4, 4: 101}, {0: 4, 3: 1}, {0: 4, 1: 1, 2: 1}])
def test_what_its_kind_does_not_allow_is_set_apart_and_the_rest_stays(item: dict[int, int]) -> None:
    payload = decode(encoded(3) + cbor.dumps(item) + encoded(5))
    assert [each.seq for each in payload.readings] == [3, 5]
    assert [(each.seq, cbor.loads(each.raw)) for each in payload.unreadable] == [(4, item)]


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", cbor.dumps({4: 1}), cbor.dumps({0: 0, 4: 1}), cbor.dumps({0: True}), cbor.dumps("text"), b"\xa1"],
)
def test_what_has_no_number_cannot_be_acknowledged_and_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        decode(payload)


def test_a_kind_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Malformed):
        reading.decode(DEVICE, "toaster", encoded(1), NOW_S)


@given(st.binary(max_size=242))
def test_random_bytes_are_read_or_refused_and_nothing_else(payload: bytes) -> None:
    try:
        found = decode(payload)
    except Malformed:
        return
    assert all(0 < each.seq <= readings.MAX_SEQ for each in (*found.readings, *found.unreadable))
