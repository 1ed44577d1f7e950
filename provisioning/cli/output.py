# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How results and errors are printed: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer

from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from provisioning.city import City


@dataclass
class Context:
    """What the options before the command say."""

    home: Path

    def city(self) -> City:
        """The city in this directory. Raises NotACity."""
        from provisioning.city import City  # databases and certificates: not every command needs them

        return City.open(self.home)


def of(ctx: typer.Context) -> Context:
    """The options before the command."""
    if not isinstance(ctx.obj, Context):
        raise TypeError("the command was started without its application")
    return ctx.obj


def say(text: str) -> None:
    """A line of result."""
    typer.echo(text)


def note(text: str) -> None:
    """A line about the work, for people; never part of a result."""
    typer.echo(text, err=True)


def say_json(value: Any) -> None:
    """A result as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


_WHOLE: Final = 16


def say_table(columns: list[str], rows: list[list[str]]) -> None:
    """A result as a table; as long as it must be where nobody watches, so that nothing is cut off."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        longest = max((len(word) for row in rows for word in row[number].split()), default=0)
        # A cell takes more lines rather than losing its end; what is short, a DevEUI among it, stays in one piece.
        table.add_column(column, overflow="fold", min_width=longest if longest <= _WHOLE else None)
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


def fitted(line: str, width: int, indent: int) -> str:
    """A line of a terminal's width, folded between words. What is to be copied stays in one piece."""
    if len(line) <= width or "lykta " in line or " = " in line:
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that a stream, or standard output, is; None where it is a file or another program."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


NO_END: Final = 1_000_000
"""A width for where nobody watches."""
_INDENT: Final = 9
"""Where what is said begins, after `  next:  `."""


def complain(error: ProvisioningError) -> None:
    """An error as what is wrong, what was found, why it matters, what to do next."""
    first, *rest = error.lines()
    width = terminal_width(sys.stderr) or NO_END
    typer.secho(fitted(f"lykta: {first}", width, 0), err=True, fg=typer.colors.RED)
    for line in rest:
        typer.echo(fitted(f"  {line}", width, _INDENT), err=True)


def stop_signals() -> list[int]:
    """A list that is no longer empty once this process was asked to end (Ctrl-C, SIGTERM)."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: received.append(signum))
    return received
