# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta monitor`: live frames of one device or of all, decoded, with signal and data rate plotted on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from consumer.inbox import Inbox
from consumer.report import VerifiedReading
from provisioning.bench import monitoring
from provisioning.bench.monitoring import Board, Frame, GatewaySource
from provisioning.cli.broker_options import Line, line_if_any
from provisioning.cli.monitor_view import picture
from provisioning.cli.output import note, of, say, stop_signals
from provisioning.cli.shared_options import sharing
from provisioning.cli.verify import Ca, ForS, city_or_none
from provisioning.errors import NotACity, ProvisioningError, UnknownDevice
from provisioning.identities import parse_eui
from provisioning.verification import Verification, build_verifier, deadline

_LOOK_S = 0.5
_EUI_DIGITS = 16
Show = Callable[[Frame], None]


@sharing(line=line_if_any)
def monitor(
    ctx: typer.Context,
    line: Line | None,
    device: Annotated[list[str] | None, typer.Argument(metavar="DEVICE", help="DevEUI or name; default: all.")] = None,
    gateway: Annotated[
        Path | None, typer.Option("--gateway", metavar="PATH", help="gateway.toml of a gateway on this computer.")
    ] = None,
    ca: Ca = None,
    for_s: ForS = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after so many frames.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each frame.")] = False,
) -> None:
    """Show frames as they come: how they were heard (--gateway), or what was verified of them (--broker)."""
    if (gateway is None) == (line is None):
        raise typer.BadParameter("give either --gateway PATH or --broker HOST:PORT")
    only = {_eui(ctx, each) for each in device or []}
    stopped, over = stop_signals(), deadline(for_s)
    board = Board()

    def ended() -> bool:
        return bool(stopped) or over() or (count is not None and board.frames >= count)

    with _shown(board, as_json) as (show, remark):
        if gateway is not None:
            _from_gateway(GatewaySource(gateway, only), show, ended)
        elif line is not None:
            name = _names(ctx)
            verification = Verification(
                Inbox(build_verifier(city_or_none(ctx), ca, from_start=False, accept_eddsa=False)),
                lambda _gateway, reading: _verified(reading, only, name, show),
                remark,
            )
            line.subscriber(verification.handlers(remark)).run(ended)


def _from_gateway(source: GatewaySource, show: Show, ended: Callable[[], bool]) -> None:
    while not ended():
        for frame in source.look():
            show(frame)
        time.sleep(_LOOK_S)


def _verified(reading: VerifiedReading, only: set[str], name: Callable[[str], str], show: Show) -> None:
    if only and reading.dev_eui not in only:
        return
    show(
        Frame(
            reading.dev_eui,
            reading.time or time.time(),
            "verified",
            name=name(reading.dev_eui),
            seq=reading.seq,
            values=dict(reading.values),
        )
    )


def _names(ctx: typer.Context) -> Callable[[str], str]:
    """Who says what a device is called; nothing where no register is at hand."""

    @lru_cache(maxsize=monitoring.MAX_DEVICES)
    def name(dev_eui: str) -> str:
        with suppress(ProvisioningError), of(ctx).city().registry() as registry:
            found = registry.device(bytes.fromhex(dev_eui))
            return found.name if found is not None else ""
        return ""

    return name


def _eui(ctx: typer.Context, text: str) -> str:
    """A device by its DevEUI, or by its name where a register is at hand."""
    try:
        with of(ctx).city().registry() as registry:
            named = [each for each in registry.devices() if each.name == text]
    except NotACity:
        return parse_eui(text).hex()
    if len(named) == 1:
        return named[0].dev_eui.hex()
    if len(named) > 1:
        raise UnknownDevice("Several devices have this name.", value=text, next_step="give its DevEUI: lykta devices")
    if len(text) != _EUI_DIGITS:
        raise UnknownDevice("No device has this name.", value=text, next_step="lykta devices lists names and DevEUIs")
    return parse_eui(text).hex()


@contextmanager
def _shown(board: Board, as_json: bool) -> Iterator[tuple[Show, Callable[[str], None]]]:
    """Yield who shows a frame, and who says a word about the work."""
    console = Console()
    if as_json or not console.is_terminal:

        def in_lines(frame: Frame) -> None:
            board.take(frame)
            say(json.dumps(frame.as_json(), ensure_ascii=False) if as_json else _line(frame))

        yield in_lines, note
        return
    with Live(picture(board, *console.size), console=console, auto_refresh=False) as live:

        def refresh(frame: Frame) -> None:
            board.take(frame)
            live.update(picture(board, *console.size), refresh=True)

        def remark(text: str) -> None:
            console.print(text, markup=False, highlight=False)  # above the picture

        yield refresh, remark if sys.stderr.isatty() else note


def _line(frame: Frame) -> str:
    at = datetime.fromtimestamp(frame.at_s).strftime("%H:%M:%S")
    more = f" (and {frame.not_shown} before it)" if frame.not_shown else ""
    seq = "" if frame.seq is None else f" seq {frame.seq}"
    parts = [at, frame.name or frame.dev_eui, frame.link, monitoring.numbers(frame)]
    values = monitoring.words(frame.values)
    return " ".join(part for part in parts if part) + seq + (f": {values}" if values else "") + more
