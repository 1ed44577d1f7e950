# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta register` and `lykta devices`."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.identities import parse_eui
from provisioning.registry import Device


def register(
    ctx: typer.Context,
    kind: Annotated[str, typer.Option("--kind", help="What the device is, for example street_light.")],
    name: Annotated[str | None, typer.Option("--name", help="Default: the kind and the DevEUI.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="The organisation that owns it.")] = None,
    dev_eui: Annotated[
        str | None, typer.Option("--dev-eui", metavar="HEX", help="Default: a random, locally administered one.")
    ] = None,
    join_eui: Annotated[str | None, typer.Option("--join-eui", metavar="HEX", help="Default: a random one.")] = None,
) -> None:
    """Register a device and give it a key of its own; print its DevEUI. The key is never shown."""
    with of(ctx).city().registry() as registry:
        device = registry.register_device(
            kind,
            dev_eui=None if dev_eui is None else parse_eui(dev_eui, "DevEUI"),
            join_eui=None if join_eui is None else parse_eui(join_eui, "JoinEUI"),
            name=name,
            owner=owner,
        )
    say(device.dev_eui.hex())
    note(f"registered {device.name}; next: lykta board make {device.dev_eui.hex()} IMAGE")


def list_devices(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the registered devices."""
    with of(ctx).city().registry() as registry:
        devices = registry.devices()
    if as_json:
        say_json([_as_dict(device) for device in devices])
    elif devices:
        columns = ["DevEUI", "kind", "name", "owner", "state", "since (UTC)"]
        say_table(columns, [_as_row(device) for device in devices])
    else:
        note("no device is registered yet; next: lykta register --kind street_light")


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
