# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Properties of the wire: what is encoded comes back, and no bytes whatever bring up another error than its own."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import cbor, cobs, cobs_stream, crypto, frame, joining, maccommands, readings
from firmware.wire.errors import CounterExhausted, Malformed, NotAuthentic, Replayed, WireError
from firmware.wire.kinds import all_fields, load, street_light
from firmware.wire.kinds.terms import names, terms
from firmware.wire.session import FCNT_END, Session
from gateway.network.aes import ecb, ecb_decrypt
from tests import slow_crypto

keys = st.binary(min_size=16, max_size=16)
euis = st.binary(min_size=8, max_size=8)
addresses = st.integers(0, 0xFFFFFFFF)
counters = st.integers(0, 0xFFFFFFFF)
scalars = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=20)
map_keys = st.integers(-(2**63), 2**63) | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(map_keys, inner, max_size=5), max_leaves=12
)


@given(keys, st.binary(max_size=70))
def test_cmac_against_the_reference(key: bytes, data: bytes) -> None:
    assert crypto.cmac(ecb(key), data) == slow_crypto.cmac(key, data)


@given(keys, addresses, counters, st.booleans(), st.binary(max_size=50))
def test_payload_cipher_against_the_reference(key: bytes, address: int, fcnt: int, down: bool, data: bytes) -> None:
    ours = crypto.crypt_payload(ecb(key), address, fcnt, int(down), data)
    assert ours == slow_crypto.payload_cipher(key, address, fcnt, down, data)
    assert crypto.crypt_payload(ecb(key), address, fcnt, int(down), ours) == data


@given(keys, keys, addresses, counters, st.integers(1, 255), st.binary(max_size=40), st.binary(max_size=15))
def test_uplink_against_the_reference(
    nwk: bytes, app: bytes, address: int, fcnt: int, fport: int, payload: bytes, fopts: bytes
) -> None:
    phy = Session(ecb, address, nwk, app, fcnt_up=fcnt).seal_uplink(fport, payload, fopts=fopts)
    assert phy[-4:] == slow_crypto.data_mic(nwk, address, fcnt, False, phy[:-4])
    assert phy[9 + len(fopts) : -4] == slow_crypto.payload_cipher(app, address, fcnt, False, payload)


@given(st.binary(max_size=600))
def test_cobs_round_trip(data: bytes) -> None:
    encoded = cobs.encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + 1 + len(data) // 254
    assert cobs.decode(encoded) == data


@given(st.lists(st.binary(max_size=80), max_size=6), st.binary(max_size=60), st.integers(1, 7))
def test_deframer_finds_every_frame_in_any_pieces(frames: list[bytes], noise: bytes, step: int) -> None:
    deframer = cobs_stream.Deframer(80)
    deframer.feed(noise)
    stream = b"".join(cobs.frame(data) for data in frames)
    heard = []
    for start in range(0, len(stream), step):
        heard += deframer.feed(stream[start : start + step])
    found_in_noise = len(heard) - len(frames)  # noise may itself end in something that decodes
    assert 0 <= found_in_noise <= 1
    assert heard[found_in_noise:] == frames


@given(st.binary(max_size=5000))
def test_deframer_is_bounded(noise: bytes) -> None:
    deframer = cobs_stream.Deframer(64)
    for heard in deframer.feed(noise):
        assert len(heard) <= 64 + 1
    assert len(deframer.pending()) <= 65


@given(values)
def test_cbor_round_trip(value: Any) -> None:
    encoded = cbor.dumps(value)
    assert cbor.loads(encoded, max_depth=20, max_items=10000) == value
    assert cbor.dumps(cbor.loads(encoded, max_depth=20, max_items=10000)) == encoded


@given(st.binary(max_size=60))
def test_cbor_of_anything_is_refused_or_the_only_form(data: bytes) -> None:
    try:
        value = cbor.loads(data)
    except Malformed:
        return
    assert cbor.dumps(value) == data


def test_cbor_refuses_what_it_lacks() -> None:
    for value, error in ((1.5, TypeError), ({1.0: 2}, TypeError), ({True: 1}, TypeError), (2**64, ValueError)):
        with pytest.raises(error):
            cbor.dumps(value)


@given(keys, euis, euis, st.integers(0, 0xFFFF))
def test_join_request_round_trip(key: bytes, join_eui: bytes, dev_eui: bytes, nonce: int) -> None:
    phy = joining.encode_join_request(ecb(key), join_eui, dev_eui, nonce)
    joining.check_join_request(ecb(key), phy)
    request = joining.decode_join_request(phy)
    assert (request.join_eui, request.dev_eui, request.dev_nonce) == (join_eui, dev_eui, nonce)


@given(keys, st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFFFF), addresses, st.sampled_from([b"", bytes(16)]))
def test_join_accept_round_trip(key: bytes, nonce: int, net_id: int, address: int, cf_list: bytes) -> None:
    phy = joining.encode_join_accept(ecb(key), ecb_decrypt(key), nonce, net_id, address, 3, 5, cf_list)
    accept = joining.decode_join_accept(ecb(key), phy)
    assert (accept.join_nonce, accept.net_id, accept.dev_addr) == (nonce, net_id, address)
    assert (accept.dl_settings, accept.rx_delay, accept.cf_list) == (3, 5, cf_list)


@given(
    counters,
    st.none() | st.integers(1, 255),
    st.binary(max_size=100),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.binary(max_size=15),
)
def test_data_round_trip_both_ways(
    fcnt: int, fport: int | None, payload: bytes, confirmed: bool, ack: bool, adr: bool, fopts: bytes
) -> None:
    payload = payload if fport is not None else b""
    device = Session(ecb, 7, bytes(16), bytes(16), fcnt_up=fcnt, fcnt_down=fcnt)
    network = Session(ecb, 7, bytes(16), bytes(16), fcnt_up=fcnt, fcnt_down=fcnt)
    up = network.open_uplink(device.seal_uplink(fport, payload, confirmed=confirmed, ack=ack, adr=adr, fopts=fopts))
    assert (up.fcnt, up.fport, up.payload, up.fopts) == (fcnt, fport, payload, fopts)
    assert (up.confirmed, up.ack, up.adr) == (confirmed, ack, adr)
    down = device.open_downlink(network.seal_downlink(fport, payload, confirmed=confirmed, ack=ack, fopts=fopts))
    assert (down.fcnt, down.fport, down.payload, down.fopts) == (fcnt, fport, payload, fopts)
    assert device.fcnt_up == network.fcnt_up == device.fcnt_down == network.fcnt_down == fcnt + 1


@given(st.binary(max_size=260), st.integers(0, FCNT_END - 1))
def test_any_bytes_are_refused_and_move_nothing(data: bytes, fcnt: int) -> None:
    held = Session(ecb, 1, bytes(16), bytes(16), fcnt_up=fcnt, fcnt_down=fcnt)
    for decode in (held.open_uplink, held.open_downlink):
        with pytest.raises(WireError):
            decode(data)
    assert (held.fcnt_up, held.fcnt_down) == (fcnt, fcnt)
    for decoder in (
        frame.decode_data,
        joining.decode_join_request,
        cobs.decode,
        cbor.loads,
        cbor.loads_sequence,
        readings.unpack_payload,
        readings.decode_receipt,
        maccommands.decode_device_time_ans,
        lambda raw: maccommands.parse(raw, uplink=True),
        lambda raw: maccommands.parse(raw, uplink=False),
        lambda raw: joining.decode_join_accept(ecb(bytes(16)), raw),
    ):
        with contextlib.suppress(WireError):
            decoder(data)


@given(st.binary(min_size=1, max_size=30), st.integers(0, 50), st.data())
def test_any_flipped_bit_is_noticed(payload: bytes, fcnt: int, data: st.DataObject) -> None:
    phy = bytearray(Session(ecb, 99, bytes(16), bytes(16), fcnt_up=fcnt).seal_uplink(1, payload))
    bit = data.draw(st.integers(0, 8 * len(phy) - 1))
    phy[bit // 8] ^= 1 << bit % 8
    with pytest.raises((Malformed, NotAuthentic)):
        Session(ecb, 99, bytes(16), bytes(16), fcnt_up=fcnt).open_uplink(bytes(phy))


@given(st.lists(st.integers(0, 300), min_size=1, max_size=25), st.integers(0, FCNT_END - 5000))
def test_a_counter_is_accepted_once_and_only_forward(order: list[int], start: int) -> None:
    network = Session(ecb, 5, bytes(16), bytes(16), fcnt_up=start)
    accepted: list[int] = []
    for offset in order:
        phy = Session(ecb, 5, bytes(16), bytes(16), fcnt_up=start + offset).seal_uplink(2, b"x")
        if accepted and start + offset <= accepted[-1]:
            with pytest.raises(Replayed):
                network.open_uplink(phy)
        else:
            accepted.append(network.open_uplink(phy).fcnt)
    assert accepted == sorted(set(accepted))


def test_a_counter_ends_with_an_error_not_with_zero() -> None:
    device = Session(ecb, 5, bytes(16), bytes(16), fcnt_up=FCNT_END - 1, fcnt_down=FCNT_END)
    device.seal_uplink(1, b"last")
    with pytest.raises(CounterExhausted):
        device.seal_uplink(1, b"one too many")
    with pytest.raises(CounterExhausted):
        device.seal_downlink(1, b"one too many")


field_values = st.fixed_dictionaries(
    {},
    optional={
        name: st.booleans() if scale == 0 else st.integers(low, high).map(lambda raw, scale=scale: raw / scale)
        for name, _, scale, low, high in street_light.FIELDS
    },
)


@given(st.integers(1, 0xFFFFFFFF), field_values, st.sampled_from(["time", "age", None]), st.integers(0, 0xFFFFFFFF))
def test_reading_round_trip(seq: int, given_values: dict[str, float], which: str | None, clock: int) -> None:
    times: dict[str, Any] = {f"{which}_s": clock} if which else {}
    payload = readings.pack([readings.encode_reading(street_light, seq, given_values, **times)], oldest=3)
    items, oldest = readings.unpack_payload(payload)
    got_seq, time_s, age_s, got = readings.decode_reading(street_light, items[0])
    assert (got_seq, time_s, age_s, oldest) == (seq, times.get("time_s"), times.get("age_s"), 3)
    assert got == given_values


@given(st.binary(max_size=80))
def test_any_payload_decodes_or_is_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        items, _ = readings.unpack_payload(data)
        for item in items:
            readings.decode_reading(street_light, item)


@pytest.mark.parametrize(
    "item",
    [
        {},
        {0: 0},
        {0: -1},
        {0: True},
        {0: 2**32},
        {0: 1, 1: 5, 2: 5},
        {0: 1, 4: 101},
        {0: 1, 4: -1},
        {0: 1, 4: True},
        {0: 1, 3: 1},
        {0: 1, 99: 1},
        {0: 1, "lamp_on": True},
        {0: 1, 1: None},
        [1],
    ],
)
def test_a_reading_out_of_its_bounds_is_refused(item: Any) -> None:
    with pytest.raises(Malformed):
        readings.decode_reading(street_light, item)


def test_a_value_out_of_range_is_not_sent() -> None:
    with pytest.raises(ValueError, match="dim_pct"):
        readings.encode_reading(street_light, 1, {"dim_pct": 101})


@given(st.integers(0, 2**32 - 1000), st.sets(st.integers(2, 255), max_size=40))
def test_receipt_round_trip(contiguous: int, above: set[int]) -> None:
    held = sorted(contiguous + offset for offset in above)
    assert readings.decode_receipt(readings.encode_receipt(contiguous, held)) == (contiguous, held)


@given(st.integers(0, 1000), st.lists(st.integers(0, 100000), max_size=40), st.integers(0, 32))
def test_a_receipt_never_claims_what_is_not_held(contiguous: int, held: list[int], max_bytes: int) -> None:
    got, above = readings.decode_receipt(readings.encode_receipt(contiguous, held, max_bytes))
    assert got == contiguous
    assert set(above) <= set(held)


def test_a_typical_reading_fits_data_rate_0() -> None:
    typical = {
        "lamp_on": True,
        "dim_pct": 70,
        "power_w": 41.3,
        "energy_wh": 1234567,
        "temperature_c": -12.5,
        "illuminance_lx": 1200,
        "voltage_v": 231.2,
        "current_a": 0.182,
    }
    assert len(readings.encode_reading(street_light, 100000, typical, time_s=1_795_348_800)) <= 51


def test_kinds_are_found_by_name_and_have_terms_for_each_field() -> None:
    assert "street_light" in names()
    for kind in names():
        module = load(kind)
        assert kind == module.KIND
        assert set(terms(kind)) == {field[0] for field in all_fields(module)}
        field_keys = [field[1] for field in all_fields(module)]
        assert len(set(field_keys)) == len(field_keys)
        assert min(field_keys, default=readings.FIRST_FIELD_KEY) >= readings.FIRST_FIELD_KEY
    for wrong in ("lamp", "terms", "common", "street_light_controls", "street_light_terms", "../street_light", ""):
        with pytest.raises(Malformed):
            load(wrong)
        with pytest.raises(Malformed):
            terms(wrong)
