# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta battery`: how many years a setting lasts."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from provisioning import battery as model
from provisioning.cli.output import say


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
        )
        rows[minutes] = {f"SF{12 - dr}": model.budget(setting, dr) for dr in range(5, -1, -1)}
    if as_json:
        years = {str(m): {sf: round(each.years, 2) for sf, each in row.items()} for m, row in rows.items()}
        parts = {str(m): {k: round(v, 4) for k, v in row["SF9"].parts_mah.items()} for m, row in rows.items()}
        say(json.dumps({"years": years, "mah_a_day_at_sf9": parts}, indent=2))
        return
    chip, radio_, held = model.PROCESSORS[processor], model.RADIOS[radio], model.CELLS[cells]
    say(f"{kind.replace('_', ' ')}: {chip.title}, {radio_.title} at 14 dBm, {held.title}")
    say("years       " + "".join(f"{sf:>8}" for sf in next(iter(rows.values()))))
    for minutes, row in rows.items():
        say(f"{minutes:>4} min    " + "".join(f"{each.years:>8.1f}" for each in row.values()))
    minutes, row = next(((m, r) for m, r in rows.items() if m == 30), next(iter(rows.items())))
    say(f"what takes it, mAh a day at SF9, every {minutes} min:")
    for name, mah in sorted(row["SF9"].parts_mah.items(), key=lambda part: -part[1]):
        if mah:
            say(f"  {name:<26}{mah:8.3f}")
    say(f"from: {chip.source}; {radio_.source}; {held.source}; {model.ROLES[kind].source}")
