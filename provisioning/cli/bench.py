# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta ports` and `lykta install`: what is plugged in, and the node on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from provisioning.bench import install as installing
from provisioning.bench import package, ports, rehearsal
from provisioning.bench.board import Board
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from provisioning.cli.ending import as_by_ctrl_c
from provisioning.cli.output import note, say, say_json, say_table

PortArgument = Annotated[
    str | None,
    typer.Argument(metavar="PORT", help="Its port, by-id name or serial number; not needed for the only one."),
]
BoardOption = Annotated[str | None, typer.Option("--board", metavar="NAME", help="Which board it is: lykta boards.")]
VirtualOption = Annotated[
    int, typer.Option("--virtual", metavar="N", min=0, max=64, help="Rehearse on N blank boards.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WatchdogOption = Annotated[
    int, typer.Option("--watchdog-ms", min=0, max=600_000, help="Time-out of a watchdog that a foreign program runs.")
]


def list_ports(
    ctx: typer.Context,
    port: Annotated[list[str] | None, typer.Argument(metavar="PORT", help="Further ports: a PTY, a UART.")] = None,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Ask what answers; stops and restarts the node.")] = True,
    baud: Annotated[int, typer.Option("--baud", min=300, max=3_000_000)] = 115_200,
    virtual: VirtualOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Show what is plugged in: port, USB identity, what answers, which board it can be."""
    with rehearsed(virtual) as extra:
        found = ports.listed([*(port or []), *extra])
        if ask:
            found = [ports.asked(each, baud) for each in found]
    if as_json:
        say_json([each.as_json() for each in found])
    elif not found:
        note(
            "nothing is plugged in; some cables carry power only. To rehearse without a board: lykta ports --virtual 2"
        )
    else:
        columns = ["port", "usb", "serial number", "answers", "MicroPython", "board", "remark"]
        say_table(columns, [_row(each) for each in found], ports=True)


def install(
    ctx: typer.Context,
    port: PortArgument = None,
    board: BoardOption = None,
    remove_stale: Annotated[
        bool, typer.Option("--remove-stale", help="Remove files that would be loaded in the place of the node's.")
    ] = False,
    watchdog_ms: WatchdogOption = 0,
    virtual: VirtualOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Put the node on a board, or bring it up to date. It resumes after a pulled cable and skips what is unchanged."""
    with rehearsed(virtual) as extra:
        chosen = ports.choose(ports.listed(extra), port)
        name = board or ("virtual" if virtual else None)
        session = Session(chosen.path, watchdog_ms=watchdog_ms)
        with bar(chosen.path) as report:
            done = session.do(lambda at, repl: _install(at, repl, chosen, name, remove_stale, report))
    facts = {**vars(done), "removed": list(done.removed), "port": chosen.path, "interruptions": session.interruptions}
    if as_json:
        say_json(facts)
        return
    say(f"{chosen.path}: build {done.build} in slot {done.slot}")
    note(f"{done.sent_files} files sent ({done.sent_bytes} bytes), {done.kept_files} kept, in {done.seconds:.1f} s")
    for path in done.removed:
        note(f"removed: {path}")


def _install(
    board: Board,
    repl: RawRepl,
    port: ports.Port,
    wanted: str | None,
    remove_stale: bool,
    report: installing.Report,
) -> installing.Installed:
    facts = board.facts()
    boards = ports.candidates(facts, port.usb)
    name = ports.board_name(replace(port, facts=facts, boards=boards), wanted)
    made = package.package_for(name, facts.purpose)
    installing.check_fit(facts, made, name)
    stale = installing.refuse_shadows(board, remove_stale)
    done = installing.Installer(board, made, report).install(facts)
    repl.soft_reset_and_leave()
    return replace(done, removed=(*stale, *done.removed))


@contextmanager
def rehearsed(count: int, board: str = "virtual", folder: Path | None = None) -> Iterator[list[str]]:
    """The ports of so many virtual boards, while the block lasts; none for 0. They go, however the command ends."""
    if not count:
        yield []
        return
    note(f"starting {count} virtual board{'' if count == 1 else 's'}")
    with as_by_ctrl_c(), rehearsal.virtual_boards(count, board, folder) as made:
        yield [each.port for each in made]


@contextmanager
def bar(title: str) -> Iterator[installing.Report]:
    """A progress bar with speed and time left on a terminal, a line for each tenth elsewhere."""
    with told_bar(title) as (report, _):
        yield report


@contextmanager
def told_bar(title: str) -> Iterator[tuple[installing.Report, Callable[[str], None]]]:
    """The same, and what writes a line for a person above the bar."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _tenths(title), note
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def report(at: installing.Progress) -> None:
            progress.update(task, total=at.total_bytes, completed=at.done_bytes, description=f"{title} {at.path}")

        def tell(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        yield report, tell


def _tenths(title: str) -> installing.Report:
    shown = [-1]

    def report(at: installing.Progress) -> None:
        tenth = 10 * at.done_bytes // max(1, at.total_bytes)
        if tenth > shown[0]:
            shown[0] = tenth
            note(f"{title}: {10 * tenth} % of {at.total_bytes} bytes")

    return report


_SHOWN_BOARDS = 2
"""That a board can be; --json has them all."""


def _row(port: ports.Port) -> list[str]:
    facts = port.facts
    version = "" if facts is None else facts.version_text
    some, more = port.boards[:_SHOWN_BOARDS], len(port.boards) - _SHOWN_BOARDS
    boards = ", ".join(some) + (f" and {more} more" if more > 0 else "")
    node = "" if facts is None or facts.launcher.slot is None else f"node {facts.launcher.build or 'in the root'}"
    return [
        port.path,
        port.usb or "",
        port.serial_number or "",
        port.answers,
        version,
        boards,
        port.remark or node,
    ]
