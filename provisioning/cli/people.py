# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta org`, `lykta role`, `lykta platform`, `lykta dataset`: who and what the register knows besides devices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning import strict_toml
from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.model.base import Model
from provisioning.model.datasets import Dataset
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.platforms import Platform
from provisioning.register import desk, papers
from provisioning.register.stock import objects

org = typer.Typer(no_args_is_help=True, help="Boards and companies of the city, and others.", rich_markup_mode=None)
role = typer.Typer(no_args_is_help=True, help="People who may sign, and their public keys.", rich_markup_mode=None)
platform = typer.Typer(no_args_is_help=True, help="Platforms that data goes to.", rich_markup_mode=None)
dataset = typer.Typer(no_args_is_help=True, help="Datasets of the open-data catalogue.", rich_markup_mode=None)
Replace = Annotated[bool, typer.Option("--replace", help="Put it in the place of the one with this id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID")]


def put_from_options(ctx: typer.Context, model: type[Any], values: dict[str, Any], replace: bool) -> None:
    """Check what options state and put it into the register."""
    stated = {name: value for name, value in values.items() if value not in (None, (), [])}
    thing = strict_toml.check(stated, model, f"{papers.PLACES[model].word} {values['id']}")
    _put_thing(ctx, thing, replace)


def _put_thing(ctx: typer.Context, thing: Any, replace: bool) -> None:
    with of(ctx).city().registry() as registry, registry.change() as change:
        papers.put(change, thing, replace=replace)
    say(thing.id)


def show_all(ctx: typer.Context, model: type[Model], columns: list[str], as_json: bool) -> None:
    """Print all objects of a type."""
    place = papers.PLACES[model]
    with of(ctx).city().registry() as registry, registry.reading() as connection:
        found = [each.model_dump(mode="json", exclude_none=True) for each in objects(connection, model)]
    if as_json:
        say_json(found)
    elif found:
        say_table(columns, [[str(each.get(column, "")) for column in columns] for each in found])
    else:
        note(f"none yet; next: lykta {place.word} add --help")


@org.command("add")
def add_org(
    ctx: typer.Context,
    org_id: Annotated[str, typer.Argument(metavar="ID", help="Small letters, for example trafiknamnden.")],
    name: Annotated[str, typer.Option("--name")],
    kind: Annotated[str, typer.Option("--kind", metavar="namnd|bolag|external")],
    contact: Annotated[str | None, typer.Option("--contact", help="A function's mailbox.")] = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="It no longer exists.")] = False,
    replace: Replace = False,
) -> None:
    """Add a board, a company or somebody else."""
    values = {"id": org_id, "name": name, "kind": kind, "contact": contact, "active": not inactive}
    put_from_options(ctx, Organisation, values, replace)


@org.command("list")
def list_orgs(ctx: typer.Context, as_json: Json = False) -> None:
    """List the organisations."""
    show_all(ctx, Organisation, ["id", "name", "kind", "active", "contact"], as_json)


@role.command("key")
def make_key(file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the private key.")]) -> None:
    """Make a key to sign with. The file stays with the person who signs; the public key is printed for the register."""
    say(desk.new_signer(file))
    note(f"keep {file} to yourself; next: lykta role add ID --public-key …")


@role.command("add")
def add_role(
    ctx: typer.Context,
    holder_id: Id,
    name: Annotated[str, typer.Option("--name", help="The person's name.")],
    role_id: Annotated[str, typer.Option("--role", metavar="ROLE", help="ks, slk, ciso, dpo, stekom, owner …")],
    org_id: Annotated[str, typer.Option("--org", metavar="ORG")],
    public_key: Annotated[str, typer.Option("--public-key", metavar="HEX", help="What lykta role key printed.")],
    delegation: Annotated[str | None, typer.Option("--delegation", help="The decision that delegates to her.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="For how long it is valid.")] = 365,
    replace: Replace = False,
) -> None:
    """Add somebody who may sign."""
    today = datetime.now(UTC).date()
    values = {
        "id": holder_id,
        "name": name,
        "role": role_id,
        "org": org_id,
        "public_key": public_key.lower(),
        "delegation_ref": delegation,
        "valid_from": today,
        "valid_to": today + timedelta(days=days),
    }
    put_from_options(ctx, RoleHolder, values, replace)


@role.command("list")
def list_roles(ctx: typer.Context, as_json: Json = False) -> None:
    """List who may sign."""
    show_all(ctx, RoleHolder, ["id", "name", "role", "org", "valid_from", "valid_to", "revoked_at"], as_json)


@role.command("revoke")
def revoke(ctx: typer.Context, holder_id: Id) -> None:
    """From now on, what this person signs does not count."""
    with of(ctx).city().registry() as registry, registry.change() as change:
        holder = papers.revoke_holder(change, holder_id)
    say(holder.id)
    note("papers handed in before still count; lykta waiver withdraw takes one back")


@platform.command("add")
def add_platform(
    ctx: typer.Context,
    platform_id: Id,
    name: Annotated[str, typer.Option("--name")],
    kind: Annotated[str, typer.Option("--kind", metavar="common|local")],
    responsible: Annotated[str, typer.Option("--responsible", metavar="ORG", help="Who answers for it.")],
    applicant: Annotated[
        str | None, typer.Option("--applicant", metavar="ORG", help="Of a local one: who runs it.")
    ] = None,
    status: Annotated[str, typer.Option("--status", metavar="active|planned|closed")] = "active",
    capability: Annotated[
        list[str] | None,
        typer.Option("--capability", help="integration, collect, store, bigdata, analyse; repeatable."),
    ] = None,
    api_url: Annotated[
        str | None, typer.Option("--api-url", metavar="URL", help="Where its published interface is.")
    ] = None,
    api_kind: Annotated[
        str | None,
        typer.Option("--api-kind", metavar="KIND", help="What that speaks: mqtt, sensorthings, ngsi-ld or openapi."),
    ] = None,
    replace: Replace = False,
) -> None:
    """Add a platform."""
    values = {
        "id": platform_id,
        "name": name,
        "kind": kind,
        "status": status,
        "responsible": responsible,
        "applicant": applicant,
        "capabilities": capability,
        "api_url": api_url,
        "api_kind": api_kind,
    }
    put_from_options(ctx, Platform, values, replace)


@platform.command("list")
def list_platforms(ctx: typer.Context, as_json: Json = False) -> None:
    """List the platforms."""
    show_all(ctx, Platform, ["id", "name", "kind", "status", "responsible", "applicant"], as_json)


@dataset.command("add")
def add_dataset(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The dataset's description, TOML.")],
    replace: Replace = False,
) -> None:
    """Add a dataset that streams are released into."""
    _put_thing(ctx, strict_toml.load(file, Dataset), replace)


@dataset.command("list")
def list_datasets(ctx: typer.Context, as_json: Json = False) -> None:
    """List the datasets."""
    show_all(ctx, Dataset, ["id", "title_sv", "publisher", "license"], as_json)
