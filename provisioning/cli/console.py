# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta console`: what a board says on its cable; on a terminal also what is typed to it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from provisioning.bench import ports
from provisioning.bench.line import BAUD, Line
from provisioning.bench.repl import RawRepl
from provisioning.cli.bench import PortArgument, VirtualOption, rehearsed
from provisioning.cli.output import note, stop_signals
from provisioning.cli.verify import ForS
from provisioning.verification import deadline

_LOOK_S = 0.2


def console(
    ctx: typer.Context,
    port: PortArgument = None,
    baud: Annotated[int, typer.Option("--baud", min=300, max=3_000_000)] = BAUD,
    for_s: ForS = None,
    reset: Annotated[bool, typer.Option("--reset", help="Start the node anew first, to hear how it starts.")] = False,
    virtual: VirtualOption = 0,
) -> None:
    """Talk to a board on its cable. Ctrl-C stops the node and gives its prompt, Ctrl-D starts it, Ctrl-] ends.

    Not on a terminal, or with --for, it prints what the board says. Frames are bytes: they show as dots.
    """
    with rehearsed(virtual) as extra:
        chosen = ports.choose(ports.listed(extra), port)
        if for_s is None and sys.stdin.isatty() and sys.stdout.isatty() and not virtual:
            note(f"{chosen.path}: Ctrl-] ends")
            if reset:
                with Line(chosen.path, baud) as line:
                    _reset(line)
            # pyserial's own terminal, in the place of this process: it owns keyboard and screen.
            command = [sys.executable, "-m", "serial.tools.miniterm", chosen.path, str(baud)]
            os.execv(sys.executable, command)  # noqa: S606
        with Line(chosen.path, baud) as line:
            if reset:
                _reset(line)
            _listen(line, for_s)


def _listen(line: Line, for_s: float | None) -> None:
    stopped, over = stop_signals(), deadline(for_s)
    while not stopped and not over():
        sys.stdout.write(shown(line.read(_LOOK_S)))
        sys.stdout.flush()


def shown(data: bytes) -> str:
    """Text as it is, everything else as dots: a frame must not move the cursor."""
    return "".join(chr(byte) if 32 <= byte < 127 or byte == 10 else "" if byte == 13 else "." for byte in data)


def _reset(line: Line) -> None:
    repl = RawRepl(line)
    repl.enter()
    repl.soft_reset_and_leave()
