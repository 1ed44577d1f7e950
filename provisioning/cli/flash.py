# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta flash` and `lykta update`: MicroPython onto a board, and a new build of the node with a way back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from boards import schema
from boards.bench import BenchTable
from boards.errors import BoardsError
from provisioning.bench import batch, flash, images, install, loader_drive, loader_esp, ports, update
from provisioning.bench.errors import NotConfirmed, WrongBoard
from provisioning.bench.session import Session
from provisioning.cli import rows
from provisioning.cli.bench import BoardOption, JsonOption, VirtualOption, rehearsed, told_bar
from provisioning.cli.ending import as_by_ctrl_c
from provisioning.cli.output import complain, note, say, say_json, say_table
from provisioning.errors import ProvisioningError

Job = Callable[[flash.Tell, install.Report], str]
ERASE = "ERASE"
REHEARSED = "pico_w_waveshare"


def flash_board(
    ctx: typer.Context,
    port: Annotated[list[str] | None, typer.Argument(metavar="PORT", help="One or more; see lykta ports.")] = None,
    board: BoardOption = None,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="The image; default: the pinned one.")
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="What it must be.")] = None,
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase all of the flash first: identity and readings too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a word before what cannot be undone.")] = False,
    virtual: VirtualOption = 0,
) -> None:
    """Put MicroPython on a board by esptool, picotool, its drive or dfu-util: only an image with the right SHA-256."""
    if virtual:
        _rehearse(virtual, board or REHEARSED, image, sha256)
        return
    chosen = {each.path: each for each in [_chosen(wanted) for wanted in port or (None,)]}
    jobs = {
        path: _job(each, board, image, sha256, erase) for path, each in chosen.items()
    }  # all, before one is touched
    where = ", ".join(jobs)
    if erase and not yes and not _typed(f"all that is on {where} will be lost", ERASE):
        raise NotConfirmed(
            "The flash is erased only when a person says so.",
            value=where,
            reason="Identity, key and readings that were not delivered yet would be lost.",
            next_step=f"give the command again and type {ERASE}, or add --yes",
        )
    if len(jobs) > 1:
        _flash_many(jobs)
    else:
        for path, job in jobs.items():
            with told_bar(path) as (report, tell):
                say(f"{path}: {job(tell, report)}")
    note("next: lykta ports, then lykta enroll")


def _job(port: ports.Port, board: str | None, image: Path | None, sha256: str | None, erase: bool) -> Job:
    """What is to be done on a port; it returns the name of the image. Raises what keeps it from being begun."""
    name = ports.board_name(port, board)
    loaded, table = _board(name)
    release = "" if loaded.facts is None else loaded.facts.micropython_board
    found = images.find(name, table, image, sha256, release)

    def job(tell: flash.Tell, report: install.Report) -> str:
        flash.flash(port, name, table, found, mcu=loaded.board.mcu, erase=erase, tell=tell, report=report)
        return found.path.name

    return job


def _flash_many(jobs: dict[str, Job]) -> None:
    """At once, a row for each; one that fails stops no other."""
    with rows.rows(list(jobs)) as shown:

        def one(path: str) -> str:
            try:
                done = jobs[path](lambda text: shown.step(path, text, ""), partial(shown.moved, path))
            except ProvisioningError:
                shown.ended(path, "FAILED")
                raise
            shown.ended(path, "is flashed")
            return done

        ended = batch.run(list(jobs), one)
    say_table(
        ["port", "image", "result"],
        [[row.port, row.done or "", "FAILED" if row.error else "flashed"] for row in ended],
        ports=True,
    )
    for row in ended:
        if row.error is not None:
            note(f"{row.port}:")
            complain(row.error)
    if any(row.error is not None for row in ended):
        raise typer.Exit(1)


def _board(name: str) -> tuple[schema.BoardFile, BenchTable]:
    try:
        loaded = schema.load_board(name)
    except BoardsError as error:
        raise WrongBoard(f"This board file is refused: {error}", value=name, next_step="lykta boards") from error
    if loaded.bench is None:
        raise WrongBoard("This board is not flashed: it is virtual.", value=name, next_step="lykta boards")
    return loaded, loaded.bench


def _rehearse(count: int, name: str, image: Path | None, sha256: str | None) -> None:
    """Boards that wait in their loader get an image; then blank boards with MicroPython answer, as real ones would."""
    loaded, table = _board(name)
    with as_by_ctrl_c(), tempfile.TemporaryDirectory(prefix="lykta-flash-") as folder:
        made = images.find(name, table, image, sha256) if image else _made_up(Path(folder), loaded, table)
        for number in range(1, count + 1):
            _rehearse_one(Path(folder) / f"loader{number}", name, loaded, table, made)
    with rehearsed(count) as found:
        for path in found:
            answer = ports.asked(ports.Port(path))
            version = "" if answer.facts is None else f" {answer.facts.version_text}"
            say(f"{path}: {made.path.name} taken; {answer.answers}{version} answers, and no node is on it")
    note("next: lykta enroll --virtual 1 --kind street_light")


def _made_up(folder: Path, loaded: schema.BoardFile, table: BenchTable) -> images.Image:
    if table.method == "esptool":
        return loader_esp.made_up(folder, table.chip or "")
    return loader_drive.made_up(folder, loaded.board.mcu)


def _rehearse_one(folder: Path, name: str, loaded: schema.BoardFile, table: BenchTable, made: images.Image) -> None:
    mcu = loaded.board.mcu
    if table.method == "esptool":
        with loader_esp.waiting(folder, name, table) as waiting, told_bar(folder.name) as (report, tell):
            port = ports.Port(str(waiting.path))
            flash.flash(port, name, table, made, mcu=mcu, erase=False, tell=tell, report=report)
        return
    with loader_drive.waiting(folder, name, table) as drive:
        found = ports.drive_at(drive) or ports.Port(str(drive))
        flash.flash(found, name, table, made, mcu=mcu, erase=False, tell=note)


def update_boards(
    ctx: typer.Context,
    port: Annotated[list[str] | None, typer.Argument(metavar="PORT", help="One or more; see lykta ports.")] = None,
    board: BoardOption = None,
    health_s: Annotated[
        float,
        typer.Option("--health-s", min=1, max=3600, help="How long the new build may take to show that it works."),
    ] = update.HEALTH_S,
    virtual: VirtualOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Bring boards to this toolkit's build: tried at one start, confirmed when it works, else rolled back."""
    with rehearsed(virtual) as extra:
        listed = ports.listed(extra)
        chosen = extra or [ports.choose(listed, each).path for each in port or (None,)]
        wanted = board or ("virtual" if virtual else None)
        rows = batch.run(chosen, lambda path: update.update(Session(path), wanted, health_s=health_s))
    if as_json:
        say_json([{"port": row.port, **(vars(row.done) if row.done else {"error": str(row.error)})} for row in rows])
    else:
        say_table(["port", "before", "now", "slot", "result"], [_row(row) for row in rows], ports=True)
        for row in rows:
            if row.error is not None:
                complain(row.error)
    if any(row.error is not None for row in rows):
        raise typer.Exit(1)


def _row(row: batch.Row[update.Updated]) -> list[str]:
    done = row.done
    if done is None:
        return [row.port, "", "", "", "FAILED"]
    result = "was up to date" if done.already else "updated"
    return [row.port, done.before or "none", done.build, done.slot, result]


def _chosen(wanted: str | None) -> ports.Port:
    if wanted is not None and Path(wanted).is_dir():
        drive = ports.drive_at(Path(wanted))
        if drive is None:
            raise WrongBoard(
                "This folder is not the drive of a board.",
                value=wanted,
                next_step="hold BOOTSEL while plugging the board in, then: lykta ports",
            )
        return drive
    return ports.choose(ports.listed(), wanted)


def _typed(what: str, word: str) -> bool:
    console = Console(stderr=True)
    return console.is_terminal and console.input(f"{what}. Type {word} to go on: ", markup=False).strip() == word
