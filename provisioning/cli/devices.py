# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta register`, `devices`, `show`, `list`, `stage`, `amend`, `retire`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.errors import ConfigError
from provisioning.identities import parse_eui
from provisioning.judging import judge_of
from provisioning.model.device import DeviceRecord
from provisioning.model.lifecycle import Stage
from provisioning.register import desk, files, moves, records
from provisioning.register.registration import Options
from provisioning.registry import Device

What = Annotated[str, typer.Argument(metavar="DEVICE", help="Its id (TRK-2041), DevEUI or name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OWNER = typer.Option("--owner", metavar="ORG", help="Of this organisation.")
KIND = typer.Option("--kind", metavar="KIND", help="Of this kind, for example traffic_counter.")
STAGE = typer.Option("--stage", help="In this stage, for example operational.")
BATCH = typer.Option("--batch", metavar="ID", help="Of this batch.")
REVISION = typer.Option(
    "--revision", metavar="N", min=0, help="Only if the register is still at this revision, as lykta check told it."
)
EXIT_NEEDS_APPROVAL = 2


def register(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The device's record, TOML.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Without a record: a device for the bench, for example street_light.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Default: the kind and the DevEUI.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Id of the organisation that owns it.")] = None,
    dev_eui: Annotated[
        str | None, typer.Option("--dev-eui", metavar="HEX", help="Default: a random, locally administered one.")
    ] = None,
    join_eui: Annotated[str | None, typer.Option("--join-eui", metavar="HEX", help="Default: a random one.")] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="The vendor's keys: CSV with dev_eui,app_key.")
    ] = None,
    revision: Annotated[int | None, REVISION] = None,
) -> None:
    """Register a device and give it a key of its own; print its DevEUI. The key is never shown."""
    if (file is None) == (kind is None):
        raise typer.BadParameter("name the FILE of the device's record, or --kind for a device on the bench")
    if file is not None:
        _register_file(ctx, file, keys, revision)
        return
    eui = None if dev_eui is None else parse_eui(dev_eui, "DevEUI")
    app_key = None if keys is None else _vendors_key(keys, eui)
    with of(ctx).city().registry() as registry:
        device = registry.register_device(
            kind or "",
            dev_eui=eui,
            join_eui=None if join_eui is None else parse_eui(join_eui, "JoinEUI"),
            name=name,
            owner=owner,
            app_key=app_key,
        )
    say(device.dev_eui.hex())
    note(f"registered {device.name}; next: lykta board make {device.dev_eui.hex()} IMAGE")


def _vendors_key(keys: Path, dev_eui: bytes | None) -> bytes:
    """The AppKey that the vendor gave the device. Never an argument: those stand in lists of processes."""
    if dev_eui is None:
        raise typer.BadParameter("--keys needs --dev-eui: a vendor's key belongs to the DevEUI on the device")
    found = files.read_keys(keys).get(dev_eui.hex())
    if found is None:
        raise ConfigError(
            "The key file has no key for this device.",
            value=dev_eui.hex(),
            reason="With another key the device could never join.",
            next_step=f"add the line {dev_eui.hex()},APP_KEY to {keys.name}",
        )
    return found


def _register_file(ctx: typer.Context, file: Path, keys: Path | None, revision: int | None) -> None:
    record = desk.read_record(file)
    city = of(ctx).city()
    options = Options(judge_of(city), app_keys=None if keys is None else files.read_keys(keys), revision=revision)
    with city.registry() as registry:
        result = desk.register_one(registry, record, options)
    made = result.record
    if made is None:
        return
    say(made.dev_eui or made.id or "")
    for line in [] if result.verdict is None else result.verdict.lines():
        note(line)
    note(
        f"{'was registered before' if result.already else 'registered'} {made.id} ({made.name}): {made.lifecycle.stage}"
    )
    if made.lifecycle.stage == "needs_approval":
        note(f"next: lykta approval add FILE, then lykta stage {made.id} approved")
        raise typer.Exit(EXIT_NEEDS_APPROVAL)
    if made.lifecycle.stage == "registered":
        note(f"next: lykta stage {made.id} approved")
    elif made.dev_eui is not None:
        note(f"next: lykta board make {made.dev_eui} IMAGE")


def list_devices(ctx: typer.Context, as_json: Json = False) -> None:
    """List the registered devices that speak LoRaWAN frames, as gateways see them."""
    with of(ctx).city().registry() as registry:
        devices = registry.devices()
    if as_json:
        say_json([_as_dict(device) for device in devices])
    elif devices:
        columns = ["DevEUI", "kind", "name", "owner", "state", "since (UTC)"]
        say_table(columns, [_as_row(device) for device in devices])
    else:
        note("no device is registered yet; next: lykta register --kind street_light")


def show(ctx: typer.Context, what: What, as_json: Json = False) -> None:
    """Show all that the register knows of a device. There is no key among it."""
    with of(ctx).city().registry() as registry:
        record = desk.show(registry, what)
    if as_json:
        say_json(records.dump(record))
    else:
        for name, value in files.flattened(record):
            say(f"{name:32}  {value}")


def list_records(
    ctx: typer.Context,
    owner: Annotated[str | None, OWNER] = None,
    kind: Annotated[str | None, KIND] = None,
    stage: Annotated[str | None, STAGE] = None,
    batch: Annotated[str | None, BATCH] = None,
    as_json: Json = False,
) -> None:
    """List the devices of the register, whatever they speak."""
    with of(ctx).city().registry() as registry:
        lines = desk.listed(registry, owner=owner, record_kind=kind, stage=stage, batch=batch)
    if as_json:
        say_json([vars(line) for line in lines])
    elif lines:
        columns = ["id", "name", "kind", "owner", "stage", "DevEUI"]
        say_table(columns, [[str(value or "") for value in vars(line).values()] for line in lines])
    else:
        note("no device is like this; next: lykta register FILE.toml, or lykta list without options")


def stage(
    ctx: typer.Context,
    what: What,
    to: Annotated[
        Stage, typer.Argument(metavar="STAGE", help="approved, installed, operational, suspended, disposed.")
    ],
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who installed it.")] = None,
) -> None:
    """Bring a device to the next stage of its life."""
    if to == "retired":
        retire(ctx, what, by)
        return
    city = of(ctx).city()
    with city.registry() as registry, registry.change() as change:
        record, verdict = moves.move(change, what, to, judge=judge_of(city), facts=moves.facts_of(change, to, by))
    for line in [] if verdict is None else verdict.lines():
        note(line)
    say(f"{record.id} {record.lifecycle.stage}")
    if record.lifecycle.stage != to:
        raise typer.Exit(EXIT_NEEDS_APPROVAL)


def amend(
    ctx: typer.Context,
    what: What,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its new record, TOML.")],
) -> None:
    """Put a new record in the place of the present one. Id, DevEUI, key and stage stay."""
    record: DeviceRecord = desk.read_record(file)
    city = of(ctx).city()
    with city.registry() as registry, registry.change() as change:
        after, verdict = moves.amend(change, what, record, judge=judge_of(city))
    for line in [] if verdict is None else verdict.lines():
        note(line)
    say(f"{after.id} {after.lifecycle.stage}")


def retire(
    ctx: typer.Context,
    what: What,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decided; default: you.")] = None,
) -> None:
    """End the use of a device: its keys are destroyed, and gateways refuse it within seconds. There is no way back."""
    with of(ctx).city().registry() as registry, registry.change() as change:
        record = moves.retire(change, what, by=by or registry.actor)
    say(f"{record.id} retired")
    note(f"its keys are destroyed; next: take it down, then lykta dispose {record.id} --help")


def dispose(
    ctx: typer.Context,
    what: What,
    taken_down: Annotated[
        datetime | None, typer.Option("--taken-down", formats=["%Y-%m-%d"], help="The day it was taken down.")
    ] = None,
    photo: Annotated[
        str | None, typer.Option("--photo", metavar="REF", help="Where the photo of the empty place is kept.")
    ] = None,
    wiped: Annotated[bool, typer.Option("--wiped", help="What it had stored is erased.")] = False,
    streams_closed: Annotated[
        bool, typer.Option("--streams-closed", help="Its streams are closed in the catalogue and with their users.")
    ] = False,
    waste: Annotated[
        str | None, typer.Option("--waste", metavar="REF", help="The receipt of the waste station.")
    ] = None,
) -> None:
    """Write down what was done with a retired device; once all is done (LIFE-4), it counts as disposed of.

    What was written down stays, also when something is lacking yet: run it again with the rest.
    """
    city = of(ctx).city()
    steps = {
        "taken_down": None if taken_down is None else taken_down.date(),
        "photo_ref": photo,
        "data_wiped": wiped or None,
        "streams_closed": streams_closed or None,
        "waste_ref": waste,
    }
    with city.registry() as registry:
        with registry.change() as change:
            moves.write_retirement(change, what, {name: value for name, value in steps.items() if value is not None})
        with registry.change() as change:
            record, _verdict = moves.move(change, what, "disposed", judge=judge_of(city))
    say(f"{record.id} {record.lifecycle.stage}")


def _as_dict(device: Device) -> dict[str, str | None]:
    return {
        "dev_eui": device.dev_eui.hex(),
        "join_eui": device.join_eui.hex(),
        "kind": device.kind,
        "name": device.name,
        "owner": device.owner,
        "state": device.state,
        "created_at": device.created_at.isoformat(),
    }


def _as_row(device: Device) -> list[str]:
    since = device.created_at.strftime("%Y-%m-%d %H:%M")
    return [device.dev_eui.hex(), device.kind, device.name, device.owner or "", device.state, since]
