# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta commander`: who may command which devices to do what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from provisioning.cli.output import note, of, say
from provisioning.cli.people import Id, Json, Replace, put_from_options, show_all
from provisioning.model.commanders import Commander
from provisioning.register import papers

app = typer.Typer(no_args_is_help=True, help="Keys that may command devices.", rich_markup_mode=None)


@app.command("add")
def add(
    ctx: typer.Context,
    commander_id: Id,
    name: Annotated[str, typer.Option("--name", help="What it is: a control room, a platform, a person.")],
    org_id: Annotated[str, typer.Option("--org", metavar="ORG", help="Who answers for it.")],
    public_key: Annotated[str, typer.Option("--public-key", metavar="HEX", help="What lykta role key printed.")],
    verb: Annotated[
        list[str], typer.Option("--may", metavar="VERB", help="dim, settings.set, …, or * for all; repeatable.")
    ],
    owner: Annotated[
        list[str] | None,
        typer.Option("--owner", metavar="ORG", help="Whose devices; default: those of --org. Repeatable."),
    ] = None,
    all_owners: Annotated[
        bool, typer.Option("--all-owners", help="All devices, also those that nobody owns yet.")
    ] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="For how long it is valid.")] = 365,
    replace: Replace = False,
) -> None:
    """Add a key that gateways obey, as far as this says."""
    today = datetime.now(UTC).date()
    values = {
        "id": commander_id,
        "name": name,
        "org": org_id,
        "public_key": public_key.lower(),
        "owners": owner,
        "all_owners": all_owners,
        "verbs": verb,
        "valid_from": today,
        "valid_to": today + timedelta(days=days),
    }
    put_from_options(ctx, Commander, values, replace)


@app.command("list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List who may command."""
    columns = ["id", "name", "org", "owners", "all_owners", "verbs", "valid_to", "revoked_at"]
    show_all(ctx, Commander, columns, as_json)


@app.command("revoke")
def revoke(ctx: typer.Context, commander_id: Id) -> None:
    """From now on, gateways refuse what this key orders."""
    with of(ctx).city().registry() as registry, registry.change() as change:
        ended = papers.revoke_commander(change, commander_id)
    say(ended.id)
    note("what gateways had taken before goes on; it expires at the time that it names")
