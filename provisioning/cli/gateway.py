# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta gateway`: enroll and list gateways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.enroll import CONFIG_NAME, DEFAULT_SERIAL_PORT, enroll_gateway, parse_broker
from provisioning.identities import parse_eui, urn
from provisioning.registry import Gateway

app = typer.Typer(no_args_is_help=True, help="Enroll gateways.", rich_markup_mode=None)


@app.command("enroll")
def enroll(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The gateway's name.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new directory for its files.")],
    eui: Annotated[str | None, typer.Option("--eui", metavar="HEX", help="Default: a random one.")] = None,
    serial_port: Annotated[
        str, typer.Option("--serial-port", metavar="PATH", help="Where the board is plugged in.")
    ] = DEFAULT_SERIAL_PORT,
    broker: Annotated[
        str, typer.Option("--broker", metavar="HOST:PORT", help="The city's MQTT broker.")
    ] = "127.0.0.1:1883",
) -> None:
    """Make key, certificate and gateway.toml for a new gateway and add it to the register; print its EUI."""
    gateway = enroll_gateway(
        of(ctx).city(),
        name,
        out,
        eui=None if eui is None else parse_eui(eui, "gateway EUI"),
        serial_port=serial_port,
        broker=parse_broker(broker),
    )
    say(gateway.eui.hex())
    note(f"enrolled {name}; its certificate is valid until {gateway.not_after.date().isoformat()}")
    note(f"next: lykta-gateway run --config {out / CONFIG_NAME}")


@app.command("list")
def list_gateways(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the enrolled gateways."""
    with of(ctx).city().registry() as registry:
        gateways = registry.gateways()
    if as_json:
        say_json([_as_dict(gateway) for gateway in gateways])
    elif gateways:
        columns = ["EUI", "name", "state", "certificate until (UTC)"]
        say_table(columns, [[g.eui.hex(), g.name, g.state, g.not_after.strftime("%Y-%m-%d %H:%M")] for g in gateways])
    else:
        note("no gateway is enrolled yet; next: lykta gateway enroll NAME --out DIR")


def _as_dict(gateway: Gateway) -> dict[str, str]:
    return {
        "eui": gateway.eui.hex(),
        "urn": urn(gateway.eui),
        "name": gateway.name,
        "state": gateway.state,
        "certificate_sha256": gateway.certificate_sha256.hex(),
        "not_after": gateway.not_after.isoformat(),
        "created_at": gateway.created_at.isoformat(),
    }
