# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SenML packs, against two other decoders: cbor2, and the consumer's own."""

import cbor2
from hypothesis import given
from hypothesis import strategies as st

from consumer import senml as consumer_senml
from firmware.wire.kinds.terms import terms
from gateway.records import senml
from gateway.records.reading import Reading
from tests.gateway_rig import KIND

DEVICE = bytes.fromhex("70b3d57ed0000001")


def reading(seq: int = 7, time_s: float = 1_790_000_000, **values: float) -> Reading:
    return Reading(DEVICE, seq, "street_light", time_s, "device", values, 1_790_000_001.0)


def test_the_bytes_of_one_reading() -> None:
    """By hand from RFC 8428 table 4 and RFC 8949: 0 name, 1 unit, 2 value, 4 boolean, -2 bn, -3 bt."""
    name = b"\x78\x1durn:dev:mac:70b3d57ed0000001_"
    expected = (
        b"\x83"
        + b"\xa4\x00\x63seq\x02\x07\x21" + name + b"\x22\x1a\x6a\xb1\x3b\x80"
        + b"\xa2\x00\x67lamp_on\x04\xf5"
        + b"\xa3\x00\x65power\x01\x61W\x02\xf9\x55\x08"
    )  # fmt: skip
    assert senml.encode([reading(lamp_on=True, power_w=80.5)]) == expected


def test_units_are_those_of_the_registry_and_values_are_scaled_to_them() -> None:
    pack = cbor2.loads(senml.encode([reading(dim_pct=35)]))
    assert pack[1] == {0: "dim", 1: "/", 2: 0.35}


def test_a_time_of_the_gateway_says_so() -> None:
    unclocked = Reading(DEVICE, 1, "street_light", 1_790_000_000.5, "gateway", {"power_w": 1.0}, 1_790_000_000.5)
    pack = cbor2.loads(senml.encode([unclocked]))
    assert pack[-1] == {0: "time_source", 3: "gateway"}
    assert consumer_senml.decode(senml.encode([unclocked]))[0].time_source == "gateway"


_VALUES = st.fixed_dictionaries(
    {},
    optional={
        name: st.booleans() if scale == 0 else st.integers(low, high).map(lambda raw, scale=scale: raw / scale)
        for name, _, scale, low, high in KIND.FIELDS
    },
)
_READINGS = st.lists(
    st.builds(
        Reading,
        st.binary(min_size=8, max_size=8),
        st.integers(1, 2**32 - 1),
        st.just("street_light"),
        st.integers(2**28, 2**32 - 1) | st.floats(2**28, 2**32 - 1).map(lambda value: round(value, 3)),
        st.sampled_from(["device", "gateway"]),
        _VALUES,
        st.just(0.0),
    ),
    min_size=1,
    max_size=20,
)


@given(_READINGS)
def test_what_is_encoded_is_what_a_consumer_reads(given_readings: list[Reading]) -> None:
    pack = senml.encode(given_readings)
    assert cbor2.dumps(cbor2.loads(pack), canonical=True) == pack, "not the deterministic encoding"
    found = consumer_senml.decode(pack)
    assert len(found) == len(given_readings)
    for sent, got in zip(given_readings, found, strict=True):
        assert (got.dev_eui, got.seq, got.time, got.time_source) == (
            sent.dev_eui.hex(),
            sent.seq,
            sent.time_s,
            sent.time_source,
        )
        by_name = terms("street_light")
        assert set(got.values) == {by_name[name].senml_name for name in sent.values}
        for name, value in sent.values.items():
            term = by_name[name]
            expected = value if isinstance(value, bool) else round(value * term.senml_factor, 9)
            assert got.values[term.senml_name] == expected
            assert got.units.get(term.senml_name) == term.senml_unit
