# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta doctor`: why a board or a gateway does not work, by evidence."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from provisioning.bench import doctor as boards
from provisioning.bench import gateway_doctor, ports
from provisioning.bench.finding import Finding
from provisioning.cli.bench import BoardOption, JsonOption, PortArgument, VirtualOption, rehearsed
from provisioning.cli.output import NO_END, fitted, say, say_json, terminal_width

_INDENT = 15
"""Where what is said of a finding begins."""


def doctor(
    ctx: typer.Context,
    port: PortArgument = None,
    board: BoardOption = None,
    gateway: Annotated[
        Path | None,
        typer.Option("--gateway", metavar="PATH", help="gateway.toml: look at this gateway; with PORT at both."),
    ] = None,
    time_server: Annotated[
        str | None, typer.Option("--time-server", metavar="HOST", help="Measure the gateway's clock against it (NTP).")
    ] = None,
    baud: Annotated[int, typer.Option("--baud", min=300, max=3_000_000)] = 115_200,
    listen_s: Annotated[float, typer.Option("--listen-s", min=0, max=600, help="How long to hear the node start.")] = 6,
    virtual: VirtualOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Say why a board or a gateway does not work, by evidence. Exit code 1 when a fault was found."""
    found: list[Finding] = []
    if gateway is None or port is not None or virtual:
        with rehearsed(virtual) as extra:
            chosen = ports.choose(ports.listed(extra), port)
            named = "--virtual 1" if chosen.path in extra else chosen.path  # the port of a rehearsal is gone by then
            found += [_at(named, each) for each in boards.examine(chosen.path, baud, board, listen_s)]
    if gateway is not None:
        device = next((each.evidence for each in found if each.name == "device"), None)
        found += gateway_doctor.examine(gateway, time_server, device)
    if as_json:
        say_json([each.as_json() for each in found])
    for each in [] if as_json else found:
        _show(each)
    faults = sum(each.level == "fault" for each in found)
    if not as_json:
        warnings = sum(each.level == "warning" for each in found)
        say(f"{_counted(faults, 'fault')}, {_counted(warnings, 'warning')}, {_counted(len(found), 'thing')} looked at")
    if faults:
        raise typer.Exit(1)


def _show(found: Finding) -> None:
    width = terminal_width() or NO_END
    say(fitted(f"{found.level:8}{found.name}: {found.what}", width, _INDENT))
    for label, text in (("found: ", found.evidence), ("why:   ", found.reason), ("next:  ", found.next_step)):
        if text and found.level != "ok":
            say(fitted(f"        {label}{text}", width, _INDENT))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _at(port: str, found: Finding) -> Finding:
    """The next command as it can be given."""
    return replace(found, next_step=re.sub(r"\bPORT\b", lambda _match: port, found.next_step))
