# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta search`: what stands, or is to stand, around a place. Before anything new is planned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.cli import guideline_options as options
from provisioning.cli.output import note, say_json, say_table
from provisioning.guidelines.engine import ENDED

if TYPE_CHECKING:
    from provisioning.model.stock import Near


def search(
    ctx: typer.Context,
    lat: Annotated[float, typer.Argument(metavar="LAT", min=-90, max=90, help="Degrees north, WGS 84.")],
    lon: Annotated[float, typer.Argument(metavar="LON", min=-180, max=180, help="Degrees east.")],
    radius_m: Annotated[float, typer.Option("--radius-m", min=0, max=100_000, help="How far around.")] = 300.0,
    measures: Annotated[
        str | None, typer.Option("--property", metavar="WORD", help="Only what measures this or something narrower.")
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", metavar="FILE", help="The register as lykta snapshot wrote it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find devices around a place, planned ones too: what is there can be used together. Nearest first."""
    with options.source(ctx, snapshot) as found:
        near = [each for each in found.stock.devices_near(lat, lon, radius_m) if _counts(each, measures)]
    rows = [_row(each) for each in near]
    if as_json:
        say_json(rows)
    elif rows:
        columns = ["metres", "id", "kind", "owner", "stage", "measures"]
        say_table(columns, [[", ".join(v) if isinstance(v, list) else str(v) for v in row.values()] for row in rows])
    else:
        note(f"nothing within {radius_m:g} m; lykta check RECORD searches as far as its property reaches")


def _counts(near: Near, measures: str | None) -> bool:
    words = [stream.property for stream in near.device.streams]
    wanted = measures is None or any(word == measures or word.startswith(f"{measures}.") for word in words)
    return wanted and near.device.lifecycle.stage not in ENDED


def _row(near: Near) -> dict[str, object]:
    device = near.device
    return {
        "distance_m": round(near.distance_m),
        "id": device.id,
        "kind": device.kind,
        "owner": device.owner_org or "",
        "stage": device.lifecycle.stage,
        "measures": list(dict.fromkeys(stream.property for stream in device.streams)),
    }
