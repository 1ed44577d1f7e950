# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta boards`: which boards there are, and what to know of each."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from boards import schema
from boards.errors import BoardsError
from provisioning.cli.output import say, say_table
from provisioning.errors import BoardError

app = typer.Typer(help="The boards that Lykta knows.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def listing(ctx: typer.Context) -> None:
    """List the boards."""
    if ctx.invoked_subcommand is not None:
        return
    rows = []
    for name in schema.names():
        board = _load(name)
        rows.append([name, board.board.mcu, _radio(board), _roles(board), board.board.title])
    say_table(["board", "processor", "radio", "roles", "what it is"], rows)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="BOARD", help="Its name, or the path of a board file to check.")],
) -> None:
    """Explain one board: pins, radio, limits, roles, flashing. A file that contradicts itself is refused."""
    board = _load(name)
    about = board.board
    say(f"{about.title} ({about.name}), {about.vendor}")
    say(f"processor: {about.mcu} at {about.clock_hz / 1e6:g} MHz; heap {about.heap_bytes // 1024} KB")
    say(f"file system: {board.flash.bytes // 1024} KB in blocks of {board.flash.block_bytes}")
    say(f"radio: {_radio(board)}")
    for key, value in board.node.as_map().items():
        if key != "radio":
            say(f"  {key} = {_plain(value)}")
    for key, value in (board.node.radio.model_dump(exclude_none=True) if board.node.radio else {}).items():
        say(f"  radio.{key} = {_plain(value)}")
    if board.facts is None:
        say(f"simulated: {', '.join(model.model for model in board.models) or 'nothing'}")
        return
    facts = board.facts
    say(f"MicroPython: {facts.micropython_board} from {facts.micropython_minimum}; RAM {facts.ram_bytes // 1024} KB")
    say(f"power: {facts.max_tx_dbm} dBm at most; antenna: {facts.antenna}, {facts.antenna_gain_dbi:g} dBi")
    for role, fit in facts.roles:
        say(f"role {role}: {_FITS[fit]}" + (" (default)" if role == facts.default_role else ""))
    say(f"flash it: {facts.flash_method}")
    say(f"keys: {facts.secure_storage}")
    say(f"supply: {facts.brown_out}")
    for remark in facts.remarks:
        say(f"note: {remark}")
    for source in facts.sources:
        say(f"source: {source}")


_FITS = {
    "heap": "fits, from files",
    "frozen": "fits frozen into the interpreter or in ROMFS only",
    "no": "does not fit",
}


def _load(name: str) -> schema.BoardFile:
    try:
        return schema.load_board(name)
    except BoardsError as error:
        raise BoardError(f"This board file is refused: {error}", value=name, next_step="mend the file") from error


def _radio(board: schema.BoardFile) -> str:
    return board.node.radio.chip if board.node.radio else "none"


def _roles(board: schema.BoardFile) -> str:
    if board.facts is None:
        return "simulated"
    return ", ".join(role if fit == "heap" else f"{role} ({fit})" for role, fit in board.facts.roles if fit != "no")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "; ".join(_plain(each) for each in value)
    return str(value)
