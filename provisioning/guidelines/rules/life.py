# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LIFE: how long a device is to stand, who takes it over, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from provisioning.guidelines import ask, deadlines
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import AT_GATEWAY, Case, rule


@rule("LIFE-1", numbers=("max_life_years",))
def planned_end(case: Case) -> Iterator[Hit]:
    """It has an end, a plan for it, and a battery that lasts."""
    lifecycle = case.record.lifecycle
    if lifecycle.planned_end is None:
        yield ask.missing("/lifecycle/planned_end")
    else:
        years = (lifecycle.planned_end - ask.starts(case)).days / ask.DAYS_PER_YEAR
        limit = case.number("max_life_years")
        if years > limit:
            values = {"years": years, "limit": limit, "end": lifecycle.planned_end}
            yield Hit("too_long", "/lifecycle/planned_end", lifecycle.planned_end, f"<= {limit:g} a", values)
    if lifecycle.replacement_plan is None:
        yield ask.missing("/lifecycle/replacement_plan", case="no_plan")
    if lifecycle.battery_years is None and lifecycle.mains is not True:
        yield ask.missing("/lifecycle/battery_years", case="no_battery")


@rule("LIFE-2")
def management(case: Case) -> Iterator[Hit]:
    """Somebody receives it when the project is over."""
    found = case.record.management
    if found is None:
        yield ask.missing("/management")
    elif case.stock.organisation(found.org) is None:
        yield Hit("unknown_org", "/management/org", observed=found.org, values={"org": found.org})


@rule("LIFE-3", when=lambda case: ask.stands(case.record), numbers=("confirm_months", "late_days"))
def confirmed(case: Case) -> Iterator[Hit]:
    """Its owner still wants it."""
    lifecycle = case.record.lifecycle
    last = lifecycle.confirmed_at or ask.starts(case)
    due = deadlines.confirm_by(last, case.pack)
    for name, field, day in (("due", "confirmed_at", due), ("past_end", "planned_end", lifecycle.planned_end)):
        if day is not None and case.today > day:
            days = (case.today - day).days
            variant = f"{name}.late" if days > case.number("late_days") else name
            yield Hit(variant, f"/lifecycle/{field}", last, day, {"since": day, "days": days, "last": last})


_STEPS: Final = {
    "keys_revoked": {"sv": "nycklarna är inte återkallade", "en": "its keys are not revoked"},
    "data_wiped": {"sv": "det den lagrade är inte raderat", "en": "what it had stored is not erased"},
    "taken_down": {"sv": "dag eller bild av nedtagningen saknas", "en": "the day or the photo of taking it down lacks"},
    "streams_closed": {"sv": "dataströmmarna är inte stängda", "en": "its streams are not closed"},
    "waste_ref": {"sv": "kvittot från avfallet saknas", "en": "the receipt of the waste station lacks"},
}


@rule("LIFE-4", when=lambda case: case.record.lifecycle.stage == "disposed", after_end=True)
def retirement(case: Case) -> Iterator[Hit]:
    """A device is gone only when nothing of it is left."""
    done = case.record.lifecycle.retired
    if done is None:
        yield ask.missing("/lifecycle/retired")
        return
    steps = {
        "keys_revoked": done.keys_revoked,
        "data_wiped": done.data_wiped,
        "taken_down": done.taken_down is not None and done.photo_ref is not None,
        "streams_closed": done.streams_closed,
        "waste_ref": done.waste_ref is not None,
    }
    for step in (name for name, is_done in steps.items() if not is_done):
        yield Hit("step", f"/lifecycle/retired/{step}", observed=False, required=True, values={"step": _STEPS[step]})


@rule("LIFE-5", when=lambda case: case.record.lifecycle.testbed, numbers=("max_testbed_months",))
def testbed(case: Case) -> Iterator[Hit]:
    """A test ends."""
    lifecycle = case.record.lifecycle
    end = lifecycle.testbed_until
    if end is None:
        yield ask.missing("/lifecycle/testbed_until")
        return
    longest = case.number("max_testbed_months")
    latest = ask.starts(case) + timedelta(days=round(longest * ask.DAYS_PER_MONTH))
    if end > latest:
        yield Hit("too_long", "/lifecycle/testbed_until", end, latest, {"end": end, "months": longest})
    if case.today > end:
        yield Hit("past_end", "/lifecycle/testbed_until", end, case.today, {"end": end})


@rule(
    "LIFE-6",
    when=lambda case: case.observed is not None and case.observed.registered,
    modes=AT_GATEWAY,
    numbers=("intervals", "least_hours", "act_days"),
)
def silent(case: Case) -> Iterator[Hit]:
    """Who has been silent too long is missed."""
    seen = case.observed
    if seen is None or seen.silent_s is None:
        return
    intervals_s = [stream.interval_s for stream in case.record.streams if stream.interval_s is not None]
    allowed_s = max(case.number("intervals") * min(intervals_s, default=0.0), case.number("least_hours") * 3600)
    if seen.silent_s <= allowed_s:
        return
    values = {"hours": seen.silent_s / 3600, "days": seen.silent_s / 86400, "allowed_h": allowed_s / 3600}
    variant = "act" if seen.silent_s > case.number("act_days") * 86400 else "suspect"
    yield Hit(
        variant, "/streams", f"{seen.silent_s:.0f} s", f"<= {allowed_s:.0f} s", {**values, "gateway": seen.gateway}
    )


@rule("LIFE-7", when=lambda case: ask.stands(case.record))
def confirmed_at_install(case: Case) -> Iterator[Hit]:
    """What hangs there is what the record says, where it says."""
    lifecycle = case.record.lifecycle
    for name in ("position_confirmed", "model_confirmed"):
        if getattr(lifecycle, name) is not True:
            field = f"/lifecycle/{name}"
            yield Hit(name, field, getattr(lifecycle, name), required=True, unknown=getattr(lifecycle, name) is None)
