# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Releases: nobody gets a field that is not for them, and nobody can work out a count that is too small to tell."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firmware.wire.kinds.terms import counting, names, terms
from gateway.records import envelope, senml
from gateway.records.envelope import Position
from gateway.records.reading import Reading
from gateway.releases.opening import Unopened, open_envelope
from gateway.releases.release import Outcome, Released, release, round_time
from gateway.releases.settings import LEVELS
from tests.releases_rig import SIGNER, START_S, STREAM, facts, item, rules

OPEN = {"audience": "open", "dataset": "FLOW"}
IN_FLOW: dict[str, Any] = {"datasets": {"FLOW": None}}


def told(outcome: Outcome) -> Released:
    assert outcome.released is not None, outcome.withheld
    return outcome.released


@pytest.mark.parametrize("kind", names())
@pytest.mark.parametrize("audience", LEVELS)
def test_only_fields_whose_level_allows_it_pass(kind: str, audience: str) -> None:
    known = terms(kind)
    if not known:
        return
    settings = {**(OPEN if audience == "open" else {"audience": audience}), "min_count": 0}
    outcome = release(item(kind, **dict.fromkeys(known, 1.0)), facts(kind, **IN_FLOW), rules(**settings))
    passes = {name for name, term in known.items() if LEVELS.index(term.release) <= LEVELS.index(audience)}  # type: ignore[arg-type]
    if not passes:
        assert outcome.withheld == "nothing_left"
        return
    assert set(told(outcome).fields) == passes
    assert (outcome.dropped or {}).get("release_level", 0) == len(known) - len(passes)


def test_a_decision_of_the_register_closes_a_field_and_never_opens_one() -> None:
    values = {"power_w": 60.0, "temperature_c": 21.0}
    closed = facts("street_light", levels={"power_w": "restricted", "temperature_c": "open"}, **IN_FLOW)
    outcome = release(item("street_light", **values), closed, rules(**OPEN))
    assert (outcome.withheld, outcome.dropped) == ("nothing_left", {"release_level": 2})
    assert set(told(release(item("street_light", **values), closed, rules())).fields) == {"temperature_c"}


def test_what_no_vocabulary_knows_is_restricted_until_the_register_says_otherwise() -> None:
    soil = replace(item("traffic"), values={"moisture": 0.4}, units={"moisture": "/"})
    assert release(soil, facts("foreign"), rules()).withheld == "nothing_left"
    assert told(release(soil, facts("foreign"), rules(audience="restricted"))).fields["moisture"].value == 0.4
    decided = facts("foreign", levels={"moisture": "open"}, **IN_FLOW)
    assert told(release(soil, decided, rules(**OPEN))).fields["moisture"].unit == "/"


def test_fields_that_the_purpose_does_not_need_are_dropped_and_counted() -> None:
    light = facts("street_light", declared=frozenset({"lamp_on", "power"}))  # by our name or by SenML's
    outcome = release(item("street_light", lamp_on=True, power_w=60.0, energy_wh=5.0), light, rules())
    assert set(told(outcome).fields) == {"lamp_on", "power_w"}
    assert outcome.dropped == {"undeclared": 1}
    assert not told(outcome).complete


@pytest.mark.parametrize(
    ("known", "settings", "why"),
    [
        (None, {}, "not_registered"),
        (facts("traffic"), {"kinds": ["waste_bin"]}, "other_kind"),
        (facts("traffic"), OPEN, "not_released"),
        (facts("traffic", device_id=None, **IN_FLOW), OPEN, "not_released"),
        (facts("traffic", personal=True), {}, "recipient_not_declared"),
        (facts("traffic", personal=True, recipients=frozenset({"A"})), {"platform_id": "X"}, "recipient_not_declared"),
    ],
)  # fmt: skip
def test_devices_of_which_nothing_may_leave(known: Any, settings: dict[str, Any], why: str) -> None:
    assert release(item("traffic", count_a=50), known, rules(**settings)).withheld == why


def test_personal_data_goes_to_the_recipient_that_was_declared() -> None:
    radar = facts("traffic", personal=True, recipients=frozenset({"INT-01"}))
    assert "count_a" in told(release(item("traffic", count_a=50), radar, rules(platform_id="INT-01"))).fields


def test_open_data_names_no_deveui_and_no_exact_time_or_place() -> None:
    about = {"segment": "S-1", "maker": "Ex", "model": "R1", "name": "outside the shelter", **IN_FLOW}
    protected = facts("traffic", protected=True, **about)
    for device, place in ((facts("traffic", **about), (18.065, 59.333)), (protected, (18.06, 59.33))):
        released = told(release(item("traffic", count_a=50), device, rules(**OPEN, place_decimals=3)))
        assert released.device == "TRK-0001"
        assert released.time_s == START_S // 300 * 300
        assert released.place == place
        assert (released.facts.asset, released.facts.model, released.facts.name) == (None, None, "")
        assert released.facts.segment == (None if device.protected else "S-1")
    inside = told(release(item("traffic", count_a=50), protected, rules()))
    assert (inside.place, inside.time_s) == ((18.06491, 59.33258), START_S)
    bench = told(release(item("traffic", count_a=50), facts("traffic", device_id=None), rules()))
    assert bench.device == "0000000000000001"


COUNTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.integers(0, 12)
        for name in ("count_a", "count_b", "heavy_a", "two_wheel_a", "heavy_b", "day_count_a", "speed_mean_kmh",
                     "headway_s")
    },
)  # fmt: skip


@given(COUNTS, st.integers(2, 8))
def test_no_count_that_is_told_or_follows_from_what_is_told_is_small(values: dict[str, int], least: int) -> None:
    outcome = release(
        item("traffic", **values, interval_s=60, suppressed=False), facts("traffic"), rules(min_count=least)
    )
    fields = {name: field.value for name, field in told(outcome).fields.items()}
    whole_and_parts = counting("traffic").parts
    for whole, parts in whole_and_parts.items():
        seen = [float(fields[part]) for part in parts if part in fields]
        if whole in fields:
            assert fields[whole] == 0 or float(fields[whole]) >= least
            # Any sum and any difference that a reader can make of the whole and its parts.
            for size in range(len(seen) + 1):
                for some in itertools.combinations(seen, size):
                    rest = float(fields[whole]) - sum(some)
                    assert rest == 0 or rest >= least
        assert all(count == 0 or count >= least for count in seen)
    assert "day_count_a" not in fields
    if values.get("count_a", 0) + values.get("count_b", 0) < least:
        assert not {"speed_mean_kmh", "headway_s"} & set(fields)
    hidden = {*values} - set(fields)
    assert fields["suppressed"] is bool(hidden)
    assert (outcome.dropped or {}).get("small_count", 0) == len(hidden)


@given(COUNTS)
def test_without_a_least_count_everything_is_told(values: dict[str, int]) -> None:
    outcome = release(item("traffic", **values, interval_s=60), facts("traffic"), rules())
    assert {name: field.value for name, field in told(outcome).fields.items()} == {**values, "interval_s": 60}
    assert outcome.dropped == {}


@given(st.floats(2**28, 4e9), st.integers(0, 86400))
def test_a_rounded_time_is_a_multiple_at_or_before(time_s: float, step_s: int) -> None:
    rounded = round_time(time_s, step_s)
    assert rounded <= time_s
    if step_s:
        assert rounded % step_s == 0
        assert time_s - rounded < step_s + 1e-6


def test_an_envelope_opens_to_numbered_readings() -> None:
    readings = [Reading(bytes(8), seq, "street_light", START_S + seq, "device", {"dim_pct": 40}, 0.0) for seq in (7, 8)]
    message = envelope.seal(senml.encode(readings), Position(STREAM, 41, 42, bytes(32)), START_S, SIGNER)
    found = open_envelope(message)
    assert [(each.stream, each.record, each.seq) for each in found] == [(STREAM.hex(), 41, 7), (STREAM.hex(), 42, 8)]
    assert (found[0].values, found[0].units) == ({"dim": 0.4}, {"dim": "/"})
    notice = envelope.seal_loss(Position(STREAM, 43, 50, bytes(32)), bytes(32), "outbox_full", START_S, SIGNER)
    assert open_envelope(notice) == ()
    with pytest.raises(Unopened):
        open_envelope(message[:-1])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"audience": "open"}, "needs dataset"),
        ({"dataset": "FLOW"}, "audience"),
        ({"kinds": ["tram"]}, "no kind of device"),
        ({"audience": "public"}, "open"),
        ({"round_s": 5}, "round_s"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        rules(**settings)
