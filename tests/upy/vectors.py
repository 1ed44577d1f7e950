# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Run vector files: the same code under CPython (imported by test_wire_vectors.py) and under MicroPython (as a script).

micropython tests/upy/vectors.py FILE...      prints "N passed, M failed" and exits 1 when one failed
"""

import json
import sys
from binascii import hexlify, unhexlify

from firmware.node import batching
from firmware.node.roles import fill, passages
from firmware.node.roles.interval import Interval
from firmware.wire import (
    airtime,
    batch,
    cbor,
    cobs,
    crypto,
    gatt,
    joining,
    maccommands,
    macdevice,
    macnetwork,
    segment,
    session,
)
from firmware.wire.errors import WireError

if sys.implementation.name == "micropython":
    from cryptolib import aes

    def ecb(key):
        return aes(key, 1).encrypt

    def ecb_decrypt(key):
        return aes(key, 1).decrypt

else:
    from gateway.network.aes import ecb, ecb_decrypt


def _hex(data):
    return hexlify(data).decode()


def _session(case):
    keys = unhexlify(case["nwk_skey"]), unhexlify(case["app_skey"])
    return session.Session(ecb, case["dev_addr"], keys[0], keys[1], fcnt_up=case["next"])


def op_cmac(case):
    return _hex(crypto.cmac(ecb(unhexlify(case["key"])), unhexlify(case["data"])))


def op_join_accept_encode(case):
    key = unhexlify(case["key"])
    fields = [case[name] for name in ("join_nonce", "net_id", "dev_addr", "dl_settings", "rx_delay")]
    return _hex(joining.encode_join_accept(ecb(key), ecb_decrypt(key), *fields, cf_list=unhexlify(case["cf_list"])))


def op_join_accept_decode(case):
    a = joining.decode_join_accept(ecb(unhexlify(case["key"])), unhexlify(case["phy"]))
    return [a.join_nonce, a.net_id, a.dev_addr, a.dl_settings, a.rx_delay, _hex(a.cf_list)]


def op_join_request_encode(case):
    euis = unhexlify(case["join_eui"]), unhexlify(case["dev_eui"])
    return _hex(joining.encode_join_request(ecb(unhexlify(case["key"])), euis[0], euis[1], case["dev_nonce"]))


def op_join_request_decode(case):
    phy = unhexlify(case["phy"])
    request = joining.decode_join_request(phy)
    joining.check_join_request(ecb(unhexlify(case["key"])), phy)
    return [_hex(request.join_eui), _hex(request.dev_eui), request.dev_nonce]


def op_session_keys(case):
    encrypt = ecb(unhexlify(case["key"]))
    keys = crypto.derive_session_keys(encrypt, case["join_nonce"], case["net_id"], case["dev_nonce"])
    return [_hex(key) for key in keys]


def op_open_uplink(case):
    held = _session(case)
    before = held.fcnt_up
    try:
        received = held.open_uplink(unhexlify(case["phy"]))
    except WireError:
        if held.fcnt_up != before:
            raise AssertionError("a refused frame moved the counter")
        raise
    return [_hex(received.payload), received.fport, received.fcnt, held.fcnt_up]


def op_seal_uplink(case):
    return _hex(_session(case).seal_uplink(case["fport"], unhexlify(case["payload"])))


def op_full_fcnt(case):
    return session.full_fcnt(case["next"], case["fcnt16"])


def op_mac_parse(case):
    return [[cid, _hex(data)] for cid, data in maccommands.parse(unhexlify(case["data"]), case["uplink"])]


def op_mac_request(case):
    """A request as the network writes it, and what the device's end reads in it."""
    data = getattr(macnetwork, case["name"])(*case["args"])
    if len(data) > 1 and "read" in case:
        read = getattr(macdevice, case["read"])
        cid, payload = maccommands.parse(data, False)[0]
        value = read(payload[0]) if case["read"] == "rx_delay_s" else read(payload)
        value = list(value) if isinstance(value, tuple) else value
        if cid != data[0] or value != case["means"]:
            raise AssertionError("the device reads %r" % (value,))
    return _hex(data)


def op_dev_status_ans(case):
    data = macdevice.dev_status_ans(case["battery"], case["snr_db"])
    battery, snr_db = macnetwork.decode_dev_status_ans(data[1:])
    if battery != case["battery"] or snr_db != max(-32, min(31, case["snr_db"])):
        raise AssertionError("the network reads %d, %d" % (battery, snr_db))
    return _hex(data)


def op_mac_accepted(case):
    cid, payload = maccommands.parse(unhexlify(case["data"]), True)[0]
    return macnetwork.accepted(cid, payload)


def op_cf_list(case):
    return _hex(macnetwork.encode_cf_list(case["hz"]))


def op_device_time(case):
    answer = maccommands.device_time_ans(case["unix_ms"])
    if abs(maccommands.decode_device_time_ans(answer[1:]) - case["unix_ms"]) > 4:  # 1/256 s on air
        raise AssertionError("does not decode to what it was made from")
    return _hex(answer)


def op_airtime(case):
    return airtime.time_on_air_us(case["sf"], case["bw_hz"], case["len"], crc=case["crc"])


def op_cobs(case):
    data = unhexlify(case["data"])
    encoded = cobs.encode(data)
    if cobs.decode(encoded) != data:
        raise AssertionError("does not decode to what it was made from")
    return _hex(encoded)


def op_cobs_decode(case):
    return _hex(cobs.decode(unhexlify(case["data"])))


def op_segment(case):
    """Frames cut for one direction, and joined again."""
    segmenter, reassembler = segment.Segmenter(), segment.Reassembler()
    pieces, joined = [], []
    for data in case["frames"]:
        for piece in segmenter.split(unhexlify(data), case["size"]):
            pieces.append(_hex(piece))
            joined.append(reassembler.feed(piece))
    if [_hex(data) for data in joined if data is not None] != case["frames"]:
        raise AssertionError("does not join to what it was cut from")
    return pieces


def op_reassemble(case):
    reassembler = segment.Reassembler(case.get("max_frame", segment.MAX_FRAME))
    frames = [reassembler.feed(unhexlify(piece)) for piece in case["pieces"]]
    counts = [reassembler.lost, reassembler.oversized, reassembler.malformed]
    return [[_hex(data) for data in frames if data is not None], counts]


def op_hint_key(case):
    return _hex(gatt.hint_key(ecb(unhexlify(case["app_key"]))))


def op_hint(case):
    encrypt = ecb(unhexlify(case["hint_key"]))
    data = gatt.hint(encrypt, case["counter"], case["flags"])
    if not gatt.is_from(encrypt, data) or gatt.flags_of(data) != case["flags"]:
        raise AssertionError("is not recognised")
    if gatt.is_from(ecb(bytes(16)), data):
        raise AssertionError("is recognised with another key")
    return _hex(data)


def op_hint_flags(case):
    return gatt.flags_of(unhexlify(case["data"]))


def op_advertisement(case):
    return [_hex(gatt.advertisement(unhexlify(case["hint"]))), _hex(gatt.scan_response())]


def op_cbor(case):
    value = json.loads(case["value"])
    encoded = cbor.dumps(value)
    if cbor.loads(encoded) != value:
        raise AssertionError("does not decode to what it was made from")
    return _hex(encoded)


def op_cbor_decode(case):
    return repr(cbor.loads(unhexlify(case["data"])))


def op_batch(case):
    """Read, and written again it is the same: there is one form."""
    data = unhexlify(case["data"])
    maps = batch.batched_maps(data)
    again = batching.batch(maps, cbor.dumps, 255, 0)
    if again != (cbor.dumps(data), len(maps), 0):
        raise AssertionError("is written as %r" % (again,))
    return [sorted([[key, item[key]] for key in item]) for item in maps]


def op_half_byte_batch(case):
    """As boards wrote them before."""
    return [sorted([[key, item[key]] for key in item]) for item in batch.batched_maps(unhexlify(case["data"]))]


def op_classify(case):
    return passages.classify(case["length_m"], 2.6, 6.5)


def op_pair(case):
    passage = passages.from_pair(tuple(case["first"]), tuple(case["second"]), case["spacing_mm"], case["zone_mm"])
    if passage is None:
        return None
    _near("speed", passage.speed_kmh, case["speed_kmh"], case["tolerance"] * case["speed_kmh"])
    _near("length", passage.length_m, case["length_m"], case["tolerance"] * (case["length_m"] + 2) + 0.02)
    return passage.direction


def op_interval(case):
    interval = Interval()
    for speed in case["speeds_kmh"]:
        interval.add(passages.Passage(0, 0, 100, speed, 4.5), passages.CAR, case["limit_kmh"])
    values = interval.close(300000, 0)
    _near("mean", values["speed_mean_kmh"], case["mean_kmh"], 0.01)
    _near("p85", values["speed_p85_kmh"], case["p85_kmh"], 1.0)  # bins of 1 km/h
    _near("above", values["above_limit_pct"], case["above_pct"], 0.01)
    return values["count_a"]


def op_sound(case):
    _near("distance", fill.sound_corrected(case["mm"], case["temperature_c"]), case["near"], case["tolerance"])
    return True


def op_fill(case):
    _near("fill", fill.Geometry(*case["geometry"]).fill_pct(case["mm"]), case["near"], case["tolerance"])
    return True


def op_forecast(case):
    trend = fill.Trend()
    for i in range(len(case["hours"])):
        trend.add(case["hours"][i], case["levels"][i])
    speed, full_in_h = trend.speed_pct_d(), trend.full_in_h(case["hours"][-1], case["full_pct"])
    _near("speed", speed, case["speed_pct_d"], 0.01)
    _near("full in", full_in_h, case["full_in_h"], 0.05)
    return True


def _near(what, value, wanted, tolerance):
    if (value is None) != (wanted is None) or (value is not None and abs(value - wanted) > tolerance):
        raise AssertionError("%s is %r, not %r within %r" % (what, value, wanted, tolerance))


def run(case):
    """Return None when the case holds, else what went wrong."""
    try:
        result = globals()["op_" + case["op"]](case)
    except WireError as error:
        kind = type(error).__name__
        return None if kind == case.get("error") else "%s: %s" % (kind, error)
    except AssertionError as error:
        return str(error)
    if "error" in case:
        return "accepted as %r; %s expected" % (result, case["error"])
    return None if result == case["out"] else "gave %r; %r expected" % (result, case["out"])


def main(paths):
    passed = failed = 0
    for path in paths:
        with open(path) as file:
            cases = json.load(file)["cases"]
        for case in cases:
            wrong = run(case)
            if wrong is None:
                passed += 1
            else:
                failed += 1
                print("FAIL %s %s %s: %s" % (path, case["op"], case.get("name", ""), wrong))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
