# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a reading may cost on air: the smallest frame holds one, and no other format is shorter."""

import json
from pathlib import Path

import pytest

from benchmarks import bench_payload
from boards.build import FIRMWARE
from firmware.wire import kinds, readings
from firmware.wire.kinds import terms
from firmware.wire.region import DATA_RATES

SMALLEST_FRAME = DATA_RATES[0][2]
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "payload.json"
KINDS = [kind for kind in terms.names() if (FIRMWARE / "node" / "roles" / f"{kind}.py").exists()]


def test_every_kind_that_we_make_is_measured() -> None:
    assert set(bench_payload.TYPICAL) == set(bench_payload.ALARM) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_typical_reading_and_a_request_fit_the_smallest_frame(kind: str) -> None:
    assert SMALLEST_FRAME == 51
    assert bench_payload.ours(kind, bench_payload.TYPICAL[kind]) + bench_payload.ASK_BYTES <= SMALLEST_FRAME


@pytest.mark.parametrize("kind", KINDS)
def test_three_buffered_readings_share_a_frame(kind: str) -> None:
    """At DR4 and above; those of a bin, whose battery pays for each frame, at SF9 (DR3) too."""
    each = bench_payload.per_frame(kind)
    assert min(each["DR4"], each["DR5"]) >= 3
    if kind == "waste_bin":
        assert each["DR3"] >= 3


@pytest.mark.parametrize("what", ["reading", "alarm"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_other_format_is_shorter(kind: str, what: str) -> None:
    values = (bench_payload.TYPICAL if what == "reading" else bench_payload.ALARM)[kind]
    sizes = bench_payload.sizes(kind, values)
    assert sizes["lykta"] < min(size for name, size in sizes.items() if name != "lykta")


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_formats_carry_the_same(kind: str) -> None:
    """All of our fields are in what is compared, and ours can be read back."""
    values = bench_payload.TYPICAL[kind]
    encoded = readings.encode_reading(kinds.load(kind), bench_payload.SEQ, values, bench_payload.TIME_S)
    items, _ = readings.unpack_payload(encoded)
    assert set(readings.decode_reading(kinds.load(kind), items[0])[3]) == set(values)
    names = terms.terms(kind)
    assert all(names[name].senml_name.encode() in bench_payload.senml_cbor(kind, values) for name in values)


def test_the_kept_results_are_those_of_this_code() -> None:
    assert json.loads(RESULTS.read_text()) == bench_payload.measure()
