# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Vendors' payloads to readings: formats, names and numbers, and what no decoder can read."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import senml as consumer_senml
from firmware.wire.errors import Malformed
from gateway.errors import UnknownPlugin
from gateway.records import decoders, senml
from gateway.records.decoders import Decoded, cayenne_lpp
from gateway.records.reading import Measured, Reading

DEVICE = bytes.fromhex("70b3d57ed0000001")
AT = 1_790_000_000.25


def read(name: str, payload: bytes, fport: int = 2, seq: int = 1) -> decoders.Payload:
    return decoders.read(name, DEVICE, "foreign", seq, (fport, payload), AT)


# Worked by hand from the sizes and resolutions of the format's table; the first two are in myDevices' description.
LPP = [
    ("03670110056700ff", {"temperature_3": (27.2, "Cel"), "temperature_5": (25.5, "Cel")}),
    ("0167ffd7", {"temperature_1": (-4.1, "Cel")}),
    ("067104d2fb2e0000", {"acceleration_x_6": (12.101406, "m/s2"), "acceleration_y_6": (-12.101406, "m/s2")}),
    ("018806765ff2960a0003e8", {"latitude_1": (42.3519, "lat"), "longitude_1": (-87.9094, "lon")}),
    ("0268a0", {"humidity_2": (80, "%RH")}),
    ("0273279c", {"pressure_2": (101400, "Pa")}),
    ("0902fff6", {"analog_input_9": (-0.1, None)}),
    ("046601", {"presence_4": (True, None)}),
    ("00856a0a1b2c", {"unixtime_0": (0x6A0A1B2C, "s")}),
    ("0174014a", {"voltage_1": (3.3, "V")}),
]


@pytest.mark.parametrize(("payload", "expected"), LPP)
def test_cayenne_lpp(payload: str, expected: dict[str, tuple[float, str | None]]) -> None:
    (reading,) = read("cayenne_lpp", bytes.fromhex(payload)).readings
    found = {each.name: (each.value, each.unit) for each in reading.measured}
    assert expected.items() <= found.items()
    assert (reading.time_s, reading.time_source, reading.kind) == (AT, "gateway", "foreign")
    measured = consumer_senml.decode(senml.encode([reading]))[0]
    assert measured.values == {name: value for name, (value, _) in found.items()}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("", "nothing was measured"),
        ("03", "a channel without its type"),
        ("0367ff", "1 of 2 bytes"),
        ("03ff00", "type 255 of channel 3 is not known"),
        ("0367011003670110", "'temperature_3' is used twice"),
        ("01670110" + "0066" * 1 + "00" + "".join(f"{number:02x}6601" for number in range(2, 62)), "at most 60"),
    ],
)
def test_what_a_decoder_cannot_read_is_kept_as_it_is(payload: str, said: str) -> None:
    found = read("cayenne_lpp", bytes.fromhex(payload), fport=9, seq=77)
    assert found.readings == ()
    (kept,) = found.unreadable
    assert said in kept.why
    assert (kept.seq, kept.raw) == (77, b"\x09" + bytes.fromhex(payload))


@given(st.binary(max_size=242))
def test_no_payload_breaks_a_decoder_or_an_envelope(payload: bytes) -> None:
    for name in decoders.names():
        found = read(name, payload)
        assert len(found.readings) + len(found.unreadable) == 1
        for reading in found.readings:
            assert consumer_senml.decode(senml.encode([reading]))[0].seq == 1


@given(st.binary(max_size=242), st.integers(1, 223))
def test_raw_passes_every_payload_on(payload: bytes, fport: int) -> None:
    (reading,) = read("raw", payload, fport).readings
    values = consumer_senml.decode(senml.encode([reading]))[0].values
    text = values["payload"]
    assert isinstance(text, str)
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == payload
    assert values["fport"] == fport


@given(st.lists(st.tuples(st.integers(0, 2**24 - 1), st.integers(0, 2**28 - 1)), min_size=2, max_size=2, unique=True))
def test_numbers_grow_with_joins_and_frames_and_any_json_holds_them(frames: list[tuple[int, int]]) -> None:
    earlier, later = sorted(frames)
    assert 0 < decoders.seq_of(*earlier) < decoders.seq_of(*later) <= 2**52
    assert int(float(decoders.seq_of(*later))) == decoders.seq_of(*later)


def test_a_session_without_numbers_left_is_refused() -> None:
    with pytest.raises(Malformed, match="must join again"):
        decoders.seq_of(1, 2**28)


def test_an_unknown_decoder_says_which_there_are() -> None:
    assert decoders.names() == ("cayenne_lpp", "raw")
    with pytest.raises(UnknownPlugin, match="cayenne_lpp, raw"):
        decoders.load("nobodys")


@pytest.mark.parametrize(
    ("decoded", "said"),
    [
        (Decoded({"height_m": 1.0}), "no field of street_light"),
        (Decoded(measured=(Measured("seq", 1),)), "no name for SenML"),
        (Decoded(measured=(Measured("two words", 1),)), "no name for SenML"),
        (Decoded({"lamp_on": True}, (Measured("lamp_on", 1),)), "used twice"),
        (Decoded(measured=(Measured("x", float("nan")),)), "no measured value"),
        (Decoded(measured=(Measured("x", "long" * 100),)), "400 characters"),
    ],
)
def test_a_decoder_that_says_what_no_verifier_takes_costs_its_own_reading_only(
    decoded: Decoded, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cayenne_lpp, "decode", lambda _fport, _payload: decoded)
    found = decoders.read("cayenne_lpp", DEVICE, "street_light", 5, (1, b"x"), AT)
    assert found.readings == ()
    assert said in found.unreadable[0].why


def test_a_decoder_may_fill_the_fields_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = Decoded({"lamp_on": True, "dim_pct": 35}, (Measured("note", "from elsewhere"),))
    monkeypatch.setattr(cayenne_lpp, "decode", lambda _fport, _payload: decoded)
    found = decoders.read("cayenne_lpp", DEVICE, "street_light", 5, (1, b"x"), AT)
    (measured,) = consumer_senml.decode(senml.encode(found.readings))
    assert measured.values == {"lamp_on": True, "dim": 0.35, "note": "from elsewhere"}
    assert isinstance(found.readings[0], Reading)
