# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How results and errors are printed: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
import textwrap
from contextvars import ContextVar
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
    before, mark, after = text.partition(_NEXT)
    typer.echo(before + mark + _with_city(after), err=True)


def _with_city(text: str) -> str:
    """The commands in a text, with the city's directory where whoever asked had to name it with -C."""
    home = typed_home.get()
    return _COMMAND.sub(lambda _found: f"lykta -C {shlex.quote(home)} ", text) if home else text


def say_json(value: Any) -> None:
    """A result as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


_WHOLE: Final = 16
_NEXT: Final = "next: "
_COMMAND: Final = re.compile(r"(?<![\w/.-])lykta (?=[a-z])")
"""A command, not the end of a path such as /srv/lykta."""
typed_home: Final[ContextVar[str]] = ContextVar("typed_home", default="")
"""The city's directory as it was typed after -C; empty where it was not."""


def say_table(columns: list[str], rows: list[list[str]], *, ports: bool = False) -> None:
    """A result as a table; as long as it must be where nobody watches, so that nothing is cut off.

    *ports*: the first column is what a person copies, and stays in one piece. On a terminal, columns with nothing in
    them are left out, and where the rest does not fit, each row is a block of lines.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    elif ports:
        filled = [number for number in range(len(columns)) if not number or any(row[number] for row in rows)]
        columns, rows = [columns[n] for n in filled], [[row[n] for n in filled] for row in rows]
    table = Table(box=None, header_style="bold", pad_edge=False)
    least = 0
    for number, column in enumerate(columns):
        whole = ports and number == 0
        longest = max((_longest_word(row[number]) for row in rows), default=0)
        # A cell takes more lines rather than losing its end; what is short, a DevEUI among it, stays in one piece.
        least_width = longest if whole or longest <= _WHOLE else None
        table.add_column(column, overflow="fold", min_width=least_width, no_wrap=whole)
        least += max(longest, _longest_word(column)) + 2
    for row in rows:
        table.add_row(*row)
    if ports and least - 2 > console.width:
        for row in rows:
            say(row[0])
            for name, cell in zip(columns[1:], row[1:], strict=True):
                if cell:
                    say(fitted(f"    {name}: {cell}", console.width, _INDENT))
        return
    console.print(table)


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


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


def tell(text: str) -> None:
    """A line of a story, folded between words where a terminal shows it."""
    say(fitted(text, terminal_width() or NO_END, 3))


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
