# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta report`, `lykta catalogue`, `lykta public`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from provisioning.cli import coverage
from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.cli.verify import city_or_none
from provisioning.private_files import PUBLIC_MODE, write_new
from provisioning.reports import office

report_app = typer.Typer(no_args_is_help=True, help="What the city is told.", rich_markup_mode=None)
catalogue_app = typer.Typer(no_args_is_help=True, help="The catalogue of open data.", rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="A new file; default: the screen.")]


@report_app.command("kpi")
def kpi(
    ctx: typer.Context,
    year: Annotated[int | None, typer.Option("--year", help="Default: this year.")] = None,
    by: Annotated[Literal["city", "owner"], typer.Option("--by", help="The city alone, or each owner too.")] = "city",
    form: Annotated[Literal["md", "csv", "json", "xlsx"], typer.Option("--format")] = "md",
    out: Out = None,
    facts: Annotated[
        Path | None,
        typer.Option("--facts", metavar="FILE", help="Numbers from outside: TOML, [[fact]] id value date source."),
    ] = None,
    delivery: Annotated[
        Path | None,
        typer.Option("--delivery", metavar="FILE", help="What came, as lykta report delivery writes it: CSV."),
    ] = None,
    received: Annotated[
        str | None,
        typer.Option("--received", metavar="URL", help="What came: the store of lykta receive, sqlite:FILE."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="A file for the city and one for each owner.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option("--pictures", metavar="DIR", help="Draw the main figures.")] = None,
    picture_format: Annotated[Literal["svg", "png"], typer.Option("--picture-format")] = "svg",
) -> None:
    """The sixteen figures of the yearly follow-up. Empty cells name who could fill them."""
    if folder is not None and out is not None:
        raise typer.BadParameter("--folder writes a file for each, --out one: give one of them")
    if delivery is not None and received is not None:
        raise typer.BadParameter("--delivery and --received say the same: give one of them")
    chosen = datetime.now(UTC).year if year is None else year
    report = office.yearly(
        of(ctx).city(),
        chosen,
        by_owner=by == "owner" or folder is not None,
        facts=facts,
        delivery=delivery,
        received=received,
    )
    if folder is not None:
        for path in office.write_each(report, form, folder):
            say(str(path))
    elif (text := office.write_yearly(report, form, out)) is not None:
        say(text.rstrip("\n"))
    if pictures is not None:
        for path in office.draw(report, pictures, picture_format):
            note(str(path))


@report_app.command("delivery")
def delivery(
    ctx: typer.Context,
    received: Annotated[str, typer.Argument(metavar="URL", help="The store of lykta receive: sqlite:FILE.")],
    year: Annotated[int | None, typer.Option("--year", help="Default: this year.")] = None,
    out: Out = None,
) -> None:
    """What came of each device, and what street lights used: CSV for lykta report kpi --delivery."""
    chosen = datetime.now(UTC).year if year is None else year
    text = office.delivery(city_or_none(ctx), received, chosen)
    if out is None:
        say(text.rstrip("\n"))
    else:
        write_new(out, text.encode(), PUBLIC_MODE)


@report_app.command("duplicates")
def duplicates(ctx: typer.Context, as_json: Json = False) -> None:
    """Devices that measure the same in the same place for different owners, and have not talked."""
    found = office.clusters(of(ctx).city())
    if as_json:
        say_json(
            [
                {"measures": each.measures, "owners": each.owners, "devices": [device.id for device in each.devices]}
                for each in found
            ]
        )
    elif found:
        rows = [
            [each.measures, ", ".join(each.owners), ", ".join(device.id or "" for device in each.devices)]
            for each in found
        ]
        say_table(["measures", "owners", "devices"], rows)
    else:
        note("no possible duplicates")


@report_app.command("expiring")
def expiring(
    ctx: typer.Context,
    days: Annotated[int, typer.Option("--days", min=0, max=36500, help="Within so many days.")] = 60,
    as_json: Json = False,
) -> None:
    """What ends soon, or has ended: papers, keys, certificates, support, contracts, funding, classifications."""
    found = office.endings(of(ctx).city(), days)
    if as_json:
        say_json([{**each._asdict(), "day": each.day.isoformat()} for each in found])
    elif found:
        say_table(["day", "what", "about", "owner"], [[str(value) for value in each] for each in found])
    else:
        note(f"nothing ends within {days} days")


report_app.command("coverage")(coverage.coverage)


@catalogue_app.command("export")
def export(
    ctx: typer.Context,
    about: Annotated[Path, typer.Argument(metavar="FILE", help="What is said of the catalogue itself, TOML.")],
    form: Annotated[Literal["turtle", "json-ld"], typer.Option("--format")] = "turtle",
    out: Out = None,
) -> None:
    """Write the catalogue as DCAT-AP-SE: datasets whose streams are all released as open, and no others."""
    text, held_back = office.open_catalogue(of(ctx).city(), about, form)
    if out is None:
        say(text.rstrip("\n"))
    else:
        write_new(out, text.encode(), PUBLIC_MODE)
    for each in held_back:
        note(f"held back: {each.dataset.id}")
        for reason in each.reasons:
            note(f"  {reason}")


def public(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the pages.")],
    feedback: Annotated[
        str, typer.Option("--feedback", metavar="WHERE", help="Where people can write to: a page or a mailbox.")
    ],
    lang: Annotated[Literal["sv", "en"], typer.Option("--lang", help="Language of the pages.")] = "sv",
) -> None:
    """Write the public pages: GeoJSON, an index, and a page for each device. Protected positions are rounded."""
    count = office.public_pages(of(ctx).city(), out, feedback, lang)
    say(str(out))
    note(f"{count} devices")
