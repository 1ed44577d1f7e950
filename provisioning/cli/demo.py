# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta demo`: everything on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from provisioning.cli.output import say, stop_signals
from provisioning.demo.plan import KINDS, LINKS, make_plan
from provisioning.demo.run import run_demo
from provisioning.demo.view import open_view


def demo(
    for_s: Annotated[float | None, typer.Option("--for", metavar="S", min=1, help="End after so many seconds.")] = None,
    link: Annotated[str, typer.Option("--link", help=f"How boards reach the gateway: {', '.join(LINKS)}.")] = LINKS[0],
    devices: Annotated[int, typer.Option("--devices", metavar="N", help="So many boards; over LoRa or Bluetooth.")] = 1,
    kind: Annotated[str, typer.Option("--kind", help=f"What they are: {', '.join(KINDS)}.")] = "street_light",
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Work here and keep everything; default: a temporary one."),
    ] = None,
) -> None:
    """Run virtual boards, a gateway, a broker and a verifier; exit 0 only if no reading is lost or twice."""
    plan = make_plan(link, devices, kind)
    received = stop_signals()
    with open_view(Console(highlight=False), kind) as view:
        summary = run_demo(plan, folder, for_s, view, lambda: len(received))
    for line in summary.lines():
        say(line)
    if not summary.ok:
        raise typer.Exit(1)
