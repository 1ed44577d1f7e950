# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta gateway`: enroll and list gateways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.enroll import (
    CONFIG_NAME,
    DEFAULT_LORA_BIND,
    DEFAULT_SERIAL_PORT,
    enroll_gateway,
    parse_broker,
    parse_lora,
)
from provisioning.identities import parse_eui, urn
from provisioning.registry import Gateway

app = typer.Typer(no_args_is_help=True, help="Enroll gateways.", rich_markup_mode=None)


@app.command("enroll")
def enroll(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The gateway's name.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new directory for its files.")],
    eui: Annotated[str | None, typer.Option("--eui", metavar="HEX", help="Default: a random one.")] = None,
    serial_ports: Annotated[
        list[str] | None,
        typer.Option(
            "--serial-port",
            metavar="PATH",
            help=f"Where a board is plugged in; repeat it for more. Default: {DEFAULT_SERIAL_PORT}, "
            "or none with LoRa or Bluetooth.",
        ),
    ] = None,
    lora_bind: Annotated[
        str | None,
        typer.Option(
            "--lora-bind",
            metavar="ADDRESS:PORT",
            help=f"Where packet forwarders send to by UDP; default with --forwarder: {DEFAULT_LORA_BIND}.",
        ),
    ] = None,
    forwarder: Annotated[
        list[str] | None,
        typer.Option("--forwarder", metavar="EUI", help="A packet forwarder that may; repeat it for more."),
    ] = None,
    ble: Annotated[
        bool, typer.Option("--ble", help="Boards reach it by Bluetooth LE, over this computer's adapter.")
    ] = False,
    broker: Annotated[
        str, typer.Option("--broker", metavar="HOST:PORT", help="The city's MQTT broker.")
    ] = "127.0.0.1:1883",
) -> None:
    """Make key, certificate and gateway.toml for a new gateway and add it to the register; print its EUI."""
    lora = parse_lora(lora_bind, forwarder or [])
    gateway = enroll_gateway(
        of(ctx).city(),
        name,
        out,
        eui=None if eui is None else parse_eui(eui, "gateway EUI"),
        serial_ports=serial_ports or ([] if lora is not None or ble else [DEFAULT_SERIAL_PORT]),
        lora=lora,
        ble=ble,
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
