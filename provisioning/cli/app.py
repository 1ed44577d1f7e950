# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""All commands together, and how errors are shown. Exit codes: 0 done, 1 refused, 2 wrong usage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli import (
    audit,
    batches,
    battery,
    board,
    boards,
    check,
    demo,
    devices,
    gateway,
    init,
    papers,
    people,
    receive,
    reports,
    rules,
    upkeep,
    verify,
)
from provisioning.cli.guideline_options import GuidelineCommand
from provisioning.cli.output import Context, complain
from provisioning.errors import ProvisioningError

app = typer.Typer(
    name="lykta",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Provision a city's boards and gateways, and prove what they measured.",
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
app.command("import")(batches.import_)
app.command("export")(batches.export)
app.add_typer(people.org, name="org")
app.add_typer(people.role, name="role")
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
app.add_typer(board.app, name="board")
app.add_typer(boards.app, name="boards")
app.command("demo")(demo.demo)
app.command("battery")(battery.battery)
app.command("check", cls=GuidelineCommand)(check.check)
app.command("audit", cls=GuidelineCommand)(audit.audit)
app.command("snapshot")(audit.snapshot)
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
