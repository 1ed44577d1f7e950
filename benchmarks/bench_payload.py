# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Bytes on air: a typical reading and an alarm of each kind, against the same values in formats that others use.

Prints one JSON object. SenML (RFC 8428) has base name, base time, and the names and units of our terms. Cayenne LPP has
a channel and a type a value, the types of its extended list; it has none for a sequence number and for a truth value
that is no input, so a generic number and a digital input stand for them. All carry the same: values, time, number.

``batches``: what waits goes as batches (firmware/wire/batch.py); how many readings of a simulated week one frame then
carries, with a request for a receipt: the mean, and how many frames there are with so many readings.
"""

import json
import sys
from pathlib import Path

import cbor2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware.node.batching import batch  # noqa: E402
from firmware.wire import cbor, kinds, readings  # noqa: E402
from firmware.wire.region import DATA_RATES  # noqa: E402
from gateway.records import senml  # noqa: E402
from gateway.records.reading import Reading  # noqa: E402

TIME_S = 1_800_000_000
SEQ = 43_210  # a bin after two years and a half at half an hour
DEV_EUI = bytes.fromhex("70b3d57ed0000042")
ASK_BYTES = 5  # a request for a receipt stands behind the readings, of a number beyond 65535
WEEK = ROOT / "tests" / "vectors" / "readings" / "week.json"

TYPICAL: dict[str, dict[str, float]] = {
    "street_light": {
        "lamp_on": True,
        "dim_pct": 70,
        "power_w": 42.3,
        "energy_wh": 1_234_567,
        "temperature_c": 21.4,
        "illuminance_lx": 4,
        "voltage_v": 231.2,
        "current_a": 0.193,
    },
    "waste_bin": {
        "fill_pct": 47,
        "temperature_c": 12.5,
        "battery_v": 3.61,
        "battery_pct": 88,
        "fill_speed_pct_d": 23.5,
        "full_in_h": 44,
        "lid_openings": 4310,
    },
    "traffic": {
        "interval_s": 300,
        "count_a": 46,
        "count_b": 41,
        "heavy_a": 5,
        "heavy_b": 4,
        "two_wheel_a": 3,
        "two_wheel_b": 6,
        "speed_mean_kmh": 46.5,
        "speed_p85_kmh": 53.0,
        "above_limit_pct": 31,
        "occupancy_pct": 12.5,
        "headway_s": 6.6,
    },
}
ALARM: dict[str, dict[str, float]] = {
    "street_light": {"lamp_on": True, "power_w": 0.4, "voltage_v": 231.2},
    "waste_bin": {"fire": True, "temperature_c": 71.5},
    "traffic": {"congested": True},
}

# Cayenne LPP: the type's bytes of data, without channel and type, by what our names end in
_LPP_BYTES = (("_c", 2), ("_lx", 2), ("_v", 2), ("_pct", 1), ("_w", 2), ("_wh", 4), ("_a", 2), ("_m", 4), ("_deg", 2))
_LPP_NUMBER = 4  # generic sensor
_LPP_TRUTH = 1  # digital input
_LPP_TIME = 4  # unix time


def ours(kind: str, values: dict[str, float]) -> int:
    """Bytes of a reading as it goes on air."""
    return len(readings.encode_reading(kinds.load(kind), SEQ, values, TIME_S))


def lpp(values: dict[str, float]) -> int:
    """Bytes in Cayenne LPP."""
    total = 2 + _LPP_TIME + 2 + _LPP_NUMBER
    for name, value in values.items():
        counts = name.startswith(("count", "heavy", "two_wheel"))
        size = next((size for end, size in _LPP_BYTES if name.endswith(end) and not counts), _LPP_NUMBER)
        total += 2 + (_LPP_TRUTH if isinstance(value, bool) else size)
    return total


def senml_cbor(kind: str, values: dict[str, float]) -> bytes:
    """A SenML pack as the gateway makes it."""
    return senml.encode([Reading(DEV_EUI, SEQ, kind, TIME_S, "device", values, TIME_S)])


def senml_json(kind: str, values: dict[str, float]) -> int:
    """Bytes of the same pack in JSON, without a space."""
    labels = {-2: "bn", -3: "bt", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb"}
    pack = [{labels[key]: value for key, value in record.items()} for record in cbor2.loads(senml_cbor(kind, values))]
    return len(json.dumps(pack, separators=(",", ":")).encode())


def sizes(kind: str, values: dict[str, float]) -> dict[str, int]:
    """Bytes in each format."""
    return {
        "lykta": ours(kind, values),
        "cayenne_lpp": lpp(values),
        "senml_cbor": len(senml_cbor(kind, values)),
        "senml_json": senml_json(kind, values),
    }


def per_frame(kind: str) -> dict[str, int]:
    """How many typical readings fit one frame with a request for a receipt, at each data rate of EU868."""
    each = ours(kind, TYPICAL[kind])
    return {f"DR{dr}": (DATA_RATES[dr][2] - ASK_BYTES) // each for dr in range(6)}


def batched(kind: str, room_bytes: int) -> dict[str, object]:
    """How many readings of a simulated week share a frame, all of them waiting."""
    module = kinds.load(kind)
    series = json.loads(WEEK.read_text())["series"][kind]
    waiting = [
        cbor.loads(readings.encode_reading(module, SEQ + place, values, time_s))
        for place, (time_s, values) in enumerate(series)
    ]
    frames: list[int] = []
    while waiting:
        found = batch(waiting, cbor.dumps, room_bytes, 0)
        frames.append(found[1] if found else 1)  # one that fits no batch goes as it is
        waiting = waiting[frames[-1] :]
    frames.pop()  # not a full one
    return {
        "mean": round(sum(frames) / len(frames), 2),
        "frames": {str(count): frames.count(count) for count in sorted(set(frames))},
    }


def measure() -> dict[str, object]:
    """All of it."""
    return {
        kind: {
            "reading": sizes(kind, TYPICAL[kind]),
            "alarm": sizes(kind, ALARM[kind]),
            "readings_per_frame": per_frame(kind),
            "batches": {f"DR{dr}": batched(kind, DATA_RATES[dr][2] - len(cbor.dumps(SEQ))) for dr in (0, 3, 5)},
        }
        for kind in TYPICAL
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
