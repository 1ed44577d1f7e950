# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""All commands together, and how errors are shown.

Exit codes of every command: 0 done, 1 refused or failed, 2 waits for an approval, 3 warnings where --strict was given,
64 a wrong call (EX_USAGE of sysexits.h).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from provisioning.cli.output import Context, complain, typed_home
from provisioning.cli.table import SECTIONS, Commands
from provisioning.errors import ProvisioningError
from provisioning.guidelines.findings import EXIT_USAGE

_NO_LIMIT: Final = 1000

# Typer carries a Click of its own; its root of wrong usage has no public name.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Root(TyperGroup):
    """All commands: a wrong call of any of them exits 64, since 2 means that something waits for an approval."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"commands": {}})
        self.commands = Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """See click: the names alone, for which nothing is loaded."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """See click: what each is for, whole, in sections."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(_NO_LIMIT)) for name in names])

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """See click: reads the options before the command."""
        with _exits_64():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """See click: reads the command's own options and runs it."""
        with _exits_64():
            return super().invoke(ctx)


@contextmanager
def _exits_64() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.exit_code = EXIT_USAGE  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    name="lykta",
    cls=_Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Provision a city's boards and gateways, and prove what they measured.",
    epilog="Exit codes: 0 done, 1 refused or failed, 2 waits for an approval, 3 warnings with --strict, 64 wrong call.",
)


@app.callback()
def options(
    ctx: typer.Context,
    home: Annotated[
        Path, typer.Option("-C", "--city-dir", envvar="LYKTA_HOME", metavar="DIR", help="The city's directory.")
    ] = Path(),
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from (or set LYKTA_DEBUG=1).")
    ] = False,
) -> None:
    """Options of every command."""
    ctx.obj = Context(home=home)
    typed = ctx.get_parameter_source("home")
    typed_home.set(str(home) if typed is not None and typed.name == "COMMANDLINE" else "")
    if debug:
        os.environ["LYKTA_DEBUG"] = "1"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    try:
        app(args=arguments, prog_name="lykta")
    except ProvisioningError as error:
        if os.environ.get("LYKTA_DEBUG") == "1":
            raise
        complain(error)
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output went away
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        if error.filename is None or os.environ.get("LYKTA_DEBUG") == "1":
            raise
        complain(
            ProvisioningError(
                f"A file or folder cannot be used: {error.strerror}.",
                value=os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename,
                next_step="check the path, that its folder is there, and who may read and write it",
            )
        )
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
