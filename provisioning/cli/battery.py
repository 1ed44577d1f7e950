# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta battery`: how many years a setting lasts."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from provisioning import battery as model
from provisioning.cli.output import say

_SF9 = 3  # as a data rate


def battery(
    kind: Annotated[str, typer.Option("--kind", help=f"What it is: {', '.join(model.ROLES)}.")] = "waste_bin",
    processor: Annotated[
        str, typer.Option("--processor", help=f"Its processor: {', '.join(model.PROCESSORS)}.")
    ] = "esp32s3",
    radio: Annotated[str, typer.Option("--radio", help=f"Its radio: {', '.join(model.RADIOS)}.")] = "sx1262",
    cells: Annotated[str, typer.Option("--cells", help=f"Its battery: {', '.join(model.CELLS)}.")] = "2xER26500",
    interval_min: Annotated[
        list[int] | None, typer.Option("--interval-min", min=1, max=1440, help="Minutes between readings; repeatable.")
    ] = None,
    look_s: Annotated[int, typer.Option("--look-s", min=5, max=600, help="Seconds between looks at heat, tilt.")] = 30,
    per_frame: Annotated[int, typer.Option("--per-frame", min=1, max=6, help="Readings that share a frame.")] = 1,
    asleep_look_s: Annotated[
        int, typer.Option("--asleep-look-s", min=5, max=3600, help="The same in deep sleep.")
    ] = 300,
    sleep: Annotated[
        str | None, typer.Option("--sleep", help="light or deep; without it, deep where the processor can.")
    ] = None,
    detector: Annotated[
        str, typer.Option("--detector", help=f"Of a traffic sensor: {', '.join(model.DETECTORS)}.")
    ] = "field",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say how many years a battery lasts, for each interval and data rate, and what takes it."""
    rows = {}
    for minutes in interval_min or [10, 30, 60, 240]:
        setting = model.Setting(
            *(kind, processor, radio, cells, 60 * minutes, look_s),
            readings_per_frame=per_frame,
            sleep=sleep,
            asleep_look_s=asleep_look_s,
            detector=detector,
        )
        rows[minutes] = {f"SF{12 - dr}": model.budget(setting, dr) for dr in range(5, -1, -1)}
    if as_json:
        years = {str(m): {sf: round(each.years, 2) for sf, each in row.items()} for m, row in rows.items()}
        parts = {str(m): {k: round(v, 4) for k, v in row["SF9"].parts_mah.items()} for m, row in rows.items()}
        would = {what: round(day.years, 2) for what, day in model.remedies(setting, _SF9)}
        say(json.dumps({"years": years, "mah_a_day_at_sf9": parts, "years_with": would}, indent=2))
        return
    _say_years(setting, rows)


def _say_years(setting: model.Setting, rows: dict[int, dict[str, model.Budget]]) -> None:
    """The table, what takes most, and where the figures are from."""
    chip, radio_, held = model.PROCESSORS[setting.processor], model.RADIOS[setting.radio], model.CELLS[setting.cells]
    say(f"{setting.kind.replace('_', ' ')}: {chip.title}, {radio_.title} at 14 dBm, {held.title}")
    say("years       " + "".join(f"{sf:>8}" for sf in next(iter(rows.values()))))
    for minutes, row in rows.items():
        say(f"{minutes:>4} min    " + "".join(f"{each.years:>8.1f}" for each in row.values()))
    minutes, row = next(((m, r) for m, r in rows.items() if m == 30), next(iter(rows.items())))
    say(f"what takes it, mAh a day at SF9, every {minutes} min:")
    for name, mah in sorted(row["SF9"].parts_mah.items(), key=lambda part: -part[1]):
        if mah:
            say(f"  {name:<26}{mah:8.3f}")
    _say_what_stops_it(setting)
    sources = [chip.source, radio_.source, held.source, model.ROLES[setting.kind].source]
    if model.ROLES[setting.kind].always_awake:
        sources.append(model.DETECTORS[setting.detector].source)
    say(f"from: {'; '.join(sources)}")


def _say_what_stops_it(setting: model.Setting) -> None:
    """Of a role that never sleeps: why it does not last, and what would have to be another."""
    if not model.ROLES[setting.kind].always_awake:
        return
    day = model.budget(setting, _SF9)
    used = sorted(day.parts_mah.items(), key=lambda part: -part[1])[:2]
    takes = " and ".join(f"{name} ({mah:.0f} mAh a day)" for name, mah in used if mah > day.total_mah / 20)
    say(f"what stops it: {takes}. It needs {day.total_mah * 3.6 / 1000:.1f} Wh a day: the mains, or the sun.")
    say(f"what would help, of which nothing is built, years at SF9, every {setting.interval_s // 60} min:")
    for what, would in model.remedies(setting, _SF9):
        say(f"  {would.years:6.1f}  {what}")
