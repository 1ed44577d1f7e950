# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta monitor`: live frames of one device or of all, decoded, with signal and data rate plotted on a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from consumer.inbox import Inbox
from consumer.report import VerifiedReading
from provisioning.bench import monitoring
from provisioning.bench.monitoring import RSSI_DBM, SF, SNR_DB, Board, Frame, GatewaySource
from provisioning.cli.broker_options import Line, line_if_any
from provisioning.cli.output import note, of, say, stop_signals
from provisioning.cli.shared_options import sharing
from provisioning.cli.verify import Ca, ForS, city_or_none
from provisioning.errors import NotACity, UnknownDevice
from provisioning.identities import parse_eui
from provisioning.verification import Verification, build_verifier, deadline

_LOOK_S = 0.5
_SHOWN = 20
_PLOT = 24
_VALUES = 60
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

    with _shown(board, as_json) as show:
        if gateway is not None:
            _from_gateway(GatewaySource(gateway, only), show, ended)
        elif line is not None:
            verification = Verification(
                Inbox(build_verifier(city_or_none(ctx), ca, from_start=False, accept_eddsa=False)),
                lambda _gateway, reading: _verified(reading, only, show),
                note,
            )
            line.subscriber(verification.handlers(note)).run(ended)


def _from_gateway(source: GatewaySource, show: Show, ended: Callable[[], bool]) -> None:
    while not ended():
        for frame in source.look():
            show(frame)
        time.sleep(_LOOK_S)


def _verified(reading: VerifiedReading, only: set[str], show: Show) -> None:
    if only and reading.dev_eui not in only:
        return
    show(Frame(reading.dev_eui, reading.time or time.time(), "verified", seq=reading.seq, values=dict(reading.values)))


def _eui(ctx: typer.Context, text: str) -> str:
    """A device by its DevEUI, or by its name where a register is at hand."""
    try:
        with of(ctx).city().registry() as registry:
            named = [each for each in registry.devices() if each.name == text]
    except NotACity:
        named = []
    if len(named) == 1:
        return named[0].dev_eui.hex()
    if len(named) > 1:
        raise UnknownDevice("Several devices have this name.", value=text, next_step="give its DevEUI: lykta devices")
    return parse_eui(text).hex()


@contextmanager
def _shown(board: Board, as_json: bool) -> Iterator[Show]:
    console = Console()
    if as_json or not console.is_terminal:

        def in_lines(frame: Frame) -> None:
            board.take(frame)
            say(json.dumps(frame.as_json(), ensure_ascii=False) if as_json else _line(frame))

        yield in_lines
        return
    with Live(_table(board), console=console, auto_refresh=False) as live:

        def refresh(frame: Frame) -> None:
            board.take(frame)
            live.update(_table(board), refresh=True)

        yield refresh


def _line(frame: Frame) -> str:
    at = datetime.fromtimestamp(frame.at_s).strftime("%H:%M:%S")
    more = f" (and {frame.not_shown} before it)" if frame.not_shown else ""
    seq = "" if frame.seq is None else f" seq {frame.seq}"
    parts = [at, frame.name or frame.dev_eui, frame.link, monitoring.numbers(frame)]
    values = monitoring.words(frame.values)
    return " ".join(part for part in parts if part) + seq + (f": {values}" if values else "") + more


def _table(board: Board) -> Table:
    table = Table(title=f"{board.frames} frames of {len(board.devices)} devices", title_justify="left", expand=True)
    for name in ("device", "frames", "last", "RSSI dBm", "SNR dB", "SF", "reading"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for dev_eui, device in reversed(list(board.devices.items())[-_SHOWN:]):
        last = device.last
        table.add_row(
            Text(last.name or dev_eui),
            str(device.frames),
            datetime.fromtimestamp(last.at_s).strftime("%H:%M:%S"),
            _plotted(device.rssi_dbm, RSSI_DBM, ".0f"),
            _plotted(device.snr_db, SNR_DB, "+.1f"),
            _plotted(device.sf, SF, ".0f"),
            Text(f"{last.seq or ''} {monitoring.words(last.values)}"[:_VALUES]),
        )
    return table


def _plotted(values: Iterable[float], scale: tuple[float, float], form: str) -> Text:
    found = list(values)
    return Text(f"{monitoring.plot(found, *scale, _PLOT)} {found[-1]:{form}}" if found else "–")
