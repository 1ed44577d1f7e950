# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta report coverage`: which device is in whose reach, planned ones too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from provisioning.cli.output import note, of, say, say_table
from provisioning.reports import office
from provisioning.reports.coverage import STATUSES
from provisioning.reports.coverage_map import MEASURED, NOTICE
from provisioning.reports.radio_range import Budget

if TYPE_CHECKING:
    from provisioning.reports.coverage import Coverage, Group, Site


def coverage(
    ctx: typer.Context,
    form: Annotated[Literal["text", "json", "geojson"], typer.Option("--format")] = "text",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="A new file, of JSON.")] = None,
    by: Annotated[Literal["district", "segment", "owner"], typer.Option("--by", help="What is summed.")] = "district",
    received: Annotated[
        str | None,
        typer.Option("--received", metavar="URL", help="Who heard whom: the store of lykta receive, sqlite:FILE."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Protected positions as they are: for the city only.")] = False,
    sf: Annotated[int, typer.Option("--sf", min=7, max=12, help="Spreading factor, at most that of the record.")] = 12,
    erp_dbm: Annotated[float, typer.Option("--erp-dbm", min=-20, max=27)] = Budget.erp_dbm,
    fade_margin_db: Annotated[float, typer.Option("--fade-margin-db", min=0, max=60)] = Budget.fade_margin_db,
    indoor_loss_db: Annotated[float, typer.Option("--indoor-loss-db", min=0, max=60)] = Budget.indoor_loss_db,
    frequency_mhz: Annotated[float, typer.Option("--frequency-mhz", min=863, max=870)] = Budget.frequency_mhz,
    gateway_height_m: Annotated[
        float, typer.Option("--gateway-height-m", min=3, max=200, help="Above ground, where the record is silent.")
    ] = Budget.gateway_height_m,
    device_height_m: Annotated[
        float, typer.Option("--device-height-m", min=1, max=10, help="The same of devices, and for the areas.")
    ] = Budget.device_height_m,
    ble_range_m: Annotated[float, typer.Option("--ble-range-m", min=1, max=1000)] = Budget.ble_range_m,
) -> None:
    """Radio coverage of what stands and is planned, as tables, JSON or a map (GeoJSON). Estimates are no promise."""
    if out is not None and form == "text":
        raise typer.BadParameter("--out writes a file: add --format geojson or --format json")
    budget = Budget(
        sf=sf,
        frequency_mhz=frequency_mhz,
        erp_dbm=erp_dbm,
        fade_margin_db=fade_margin_db,
        indoor_loss_db=indoor_loss_db,
        gateway_height_m=gateway_height_m,
        device_height_m=device_height_m,
        ble_range_m=ble_range_m,
    )
    found = office.covered(of(ctx).city(), budget, received, exact=exact)
    if form == "text":
        _tables(found, by)
    elif (text := office.write_covered(found, form, by, out)) is not None:
        say(text.rstrip("\n"))
    note(NOTICE)
    if found.measured:
        note(MEASURED)
    if without := [each.id for each in found.sites if each.lat is None]:
        note(f"no position, so no area: {', '.join(without)}; put location.lat and location.lon into their records")


def _tables(found: Coverage, by: Group) -> None:
    columns = ["gateway", "stage", "links", "position", "estimated", "farthest heard"]
    say_table(columns, [_site(each) for each in found.sites])
    say("")
    columns = ["device", "kind", "owner", "stage", "status", "basis", "gateways", "nearest", "metres"]
    rows = [
        [
            *(each.id, each.kind, each.owner, each.stage, each.status, each.basis, ", ".join(each.gateways)),
            each.nearest,
            "" if each.distance_m is None else f"{each.distance_m:.0f}",
        ]
        for each in found.rows
    ]
    say_table(columns, rows)
    say("")
    groups = found.summary(by).items()
    say_table([by, *STATUSES], [[name, *(str(count[each]) for each in STATUSES)] for name, count in groups])


def _site(site: Site) -> list[str]:
    place = "none" if site.lat is None else f"{site.lat} {site.lon}{' (rounded)' if site.rounded else ''}"
    ranges = ", ".join(f"{link} {range_m:.0f} m" for link, range_m in site.range_m.items() if site.lat is not None)
    heard = "" if site.measured_m is None else f"{site.measured_m:.0f} m"
    return [site.id, site.stage, ", ".join(site.links), place, ranges, heard]
