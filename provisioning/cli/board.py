# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta board`: make and run the flash image of a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.cli.output import note, of, say
from provisioning.images import DEFAULT_INTERVAL_MS, LINKS, default_board, exec_board, make_board_image
from provisioning.register import desk

if TYPE_CHECKING:
    from provisioning.city import City

app = typer.Typer(no_args_is_help=True, help="Make and run boards.", rich_markup_mode=None)


@app.command("make")
def make(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="DEVICE", help="By id (TRK-2041), DevEUI or name.")],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The file to make.")],
    board: Annotated[
        str | None, typer.Option("--board", help="Which board, as boards/<name>.toml; default: a virtual one.")
    ] = None,
    link: Annotated[str, typer.Option("--link", help=f"How it talks to its gateway: {', '.join(LINKS)}.")] = "serial",
    interval_ms: Annotated[
        int, typer.Option("--interval-ms", min=50, max=86_400_000, help="Time from one reading to the next.")
    ] = DEFAULT_INTERVAL_MS,
    receipt_every: Annotated[
        int | None,
        typer.Option("--receipt-every", min=1, max=64, help="Readings per receipt; default 8, over LoRa one an hour."),
    ] = None,
    device_class: Annotated[
        str | None, typer.Option("--class", metavar="A|C", help="LoRaWAN class; default C on mains, else A.")
    ] = None,
    adr: Annotated[bool | None, typer.Option("--adr/--no-adr", help="Whether ADR is on; default yes.")] = None,
    certification: Annotated[
        bool | None,
        typer.Option("--certification-port/--no-certification-port", help="Tests on FPort 224 (TS009); default no."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting it has from the start, as rated_w=60; repeat it."),
    ] = None,
) -> None:
    """Build the firmware with the identity of a device as a flash image. The image holds its key: mode 0600."""
    given = {"class": device_class, "adr": adr, "certification": certification}
    city = of(ctx).city()
    device = make_board_image(
        city,
        _dev_eui(city, what),
        image,
        board=board,
        link=link,
        interval_ms=interval_ms,
        receipt_every=receipt_every,
        lorawan={name: value for name, value in given.items() if value is not None},
        settings=settings or (),
    )
    say(str(image))
    note(f"{image} holds the key of {device.name}: keep it as you would keep the board")
    made_for = board or default_board(device.kind, link)
    options = "" if made_for == "virtual" else f" --board {made_for}"
    options += " --air SOCKET" if "lora" in link else ""
    options += " --ble-air SOCKET" if "ble" in link else ""
    note(f"next: lykta board run {image} --port PATH{options}")


def _dev_eui(city: City, what: str) -> bytes:
    with city.registry() as registry:
        return desk.speaking(registry, what).dev_eui


@app.command("run")
def run(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image made by lykta board make.")],
    port: Annotated[Path, typer.Option("--port", metavar="PATH", help="Where its serial port is to appear.")],
    board: Annotated[str, typer.Option("--board", help="The board that the image was made for.")] = "virtual",
    scenario: Annotated[str | None, typer.Option("--scenario", help="What its sensors see; demo: a short day.")] = None,
    control: Annotated[
        Path | None, typer.Option("--control", metavar="PATH", help="Unix socket for power cuts, noise and stimuli.")
    ] = None,
    air: Annotated[
        Path | None, typer.Option("--air", metavar="SOCKET", help="The virtual air that its radio is to be in.")
    ] = None,
    ble_air: Annotated[
        Path | None, typer.Option("--ble-air", metavar="SOCKET", help="The virtual Bluetooth air that it is to be in.")
    ] = None,
    position: Annotated[
        str | None, typer.Option("--position", metavar="X,Y", help="Its place in that air, in metres; default 0,0.")
    ] = None,
) -> None:
    """Run the virtual board of an image in this process until it is ended: SIGTERM is its power switch."""
    options = {"--board": board, "--scenario": scenario, "--control": control, "--air": air, "--position": position}
    options["--ble-air"] = ble_air
    # --name=value: a position may begin with a minus sign.
    exec_board(image, port, [f"{name}={value}" for name, value in options.items() if value])
