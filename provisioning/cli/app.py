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
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from provisioning.cli import (
    audit,
    batches,
    battery,
    bench,
    ble,
    board,
    boards,
    check,
    command,
    commander,
    console,
    demo,
    devices,
    enroll,
    flash,
    gateway,
    init,
    monitor,
    papers,
    people,
    platforms,
    receive,
    reports,
    rules,
    search,
    updates,
    upkeep,
    verify,
)
from provisioning.cli.output import Context, complain
from provisioning.errors import ProvisioningError
from provisioning.guidelines.findings import EXIT_USAGE

# Typer carries a Click of its own; its root of wrong usage has no public name.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Root(TyperGroup):
    """All commands: a wrong call of any of them exits 64, since 2 means that something waits for an approval."""

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
    if debug:
        os.environ["LYKTA_DEBUG"] = "1"


app.command("init")(init.init)
app.command("register")(devices.register)
app.command("devices")(devices.list_devices)
app.command("show")(devices.show)
app.command("list")(devices.list_records)
app.command("stage")(devices.stage)
app.command("amend")(devices.amend)
app.command("retire")(devices.retire)
app.command("dispose")(devices.dispose)
app.command("import")(batches.import_)
app.command("export")(batches.export)
app.add_typer(people.org, name="org")
app.add_typer(people.role, name="role")
people.platform.command("test")(platforms.test_platform)
app.add_typer(people.platform, name="platform")
app.add_typer(people.dataset, name="dataset")
app.add_typer(papers.paper_app("waiver"), name="waiver")
app.add_typer(papers.paper_app("approval"), name="approval")
app.add_typer(papers.paper_app("dialogue"), name="dialogue")
app.add_typer(upkeep.log_app, name="log")
app.add_typer(upkeep.keys_app, name="keys")
app.command("upgrade")(upkeep.upgrade)
app.add_typer(reports.report_app, name="report")
app.add_typer(reports.catalogue_app, name="catalogue")
app.command("public")(reports.public)
app.add_typer(gateway.app, name="gateway")
app.command("verify")(verify.verify)
app.command("receive")(receive.receive)
app.command("prove")(receive.prove)
app.add_typer(commander.app, name="commander")
app.command("command")(command.command)
app.add_typer(command.settings, name="settings")
app.add_typer(board.app, name="board")
app.add_typer(boards.app, name="boards")
app.command("ports")(bench.list_ports)
app.command("install")(bench.install)
app.command("doctor")(bench.doctor)
app.command("enroll")(enroll.enroll)
app.command("flash")(flash.flash_board)
app.add_typer(updates.app, name="update")
app.command("console")(console.console)
app.command("monitor")(monitor.monitor)
app.command("enrolled")(enroll.enrolled)
app.command("label")(enroll.labels)
app.add_typer(ble.app, name="ble")
app.command("demo")(demo.demo)
app.command("battery")(battery.battery)
app.command("check")(check.check)
app.command("audit")(audit.audit)
app.command("snapshot")(audit.snapshot)
app.command("search")(search.search)
app.add_typer(rules.app, name="rules")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    try:
        app(args=arguments, prog_name="lykta")
    except ProvisioningError as error:
        if os.environ.get("LYKTA_DEBUG") == "1":
            raise
        complain(error)
        return 1
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
