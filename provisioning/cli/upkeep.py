# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta upgrade`, `lykta log`, `lykta keys`: what keeps a register sound."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from provisioning.cli.devices import What
from provisioning.cli.output import note, of, say, say_json, say_table
from provisioning.register import heads, log, moves, rotation

log_app = typer.Typer(no_args_is_help=True, help="The log of every change.", rich_markup_mode=None)
keys_app = typer.Typer(no_args_is_help=True, help="Exchange keys.", rich_markup_mode=None)


def upgrade(ctx: typer.Context) -> None:
    """Bring the register of an older version of Lykta up to date, after a backup of its file."""
    from provisioning.register.migrate import upgrade_city  # loads Alembic, which nothing else needs

    before, after, backup = upgrade_city(of(ctx).city())
    say(f"tables {after}")
    note("nothing to do" if before == after else f"upgraded from tables {before}")
    if backup is not None:
        note(f"the register as it was: {backup}; it holds device keys, remove it when all is well")


@log_app.command("verify")
def verify(
    ctx: typer.Context,
    known: Annotated[
        str | None, typer.Option("--known", metavar="NUMBER:HASH", help="What lykta log head printed earlier.")
    ] = None,
) -> None:
    """Check that no entry was changed, left out or cut off, and that every device is as its last entry says."""
    expected = None if known is None else heads.parse(known)
    with of(ctx).city().registry() as registry, registry.reading() as connection:
        head = log.verify(connection, expected)
        heads.check_records(connection)
    say(heads.text(head))
    note(f"{head.seq} entries, all as they were written")


@log_app.command("head")
def head(ctx: typer.Context) -> None:
    """Print number and hash of the last entry: keep them elsewhere, and nobody can rewrite the log unseen."""
    with of(ctx).city().registry() as registry, registry.reading() as connection:
        say(heads.text(log.head(connection)))


@log_app.command("show")
def show(
    ctx: typer.Context,
    subject: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only about this device, paper or person.")
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the newest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with what was changed.")] = False,
) -> None:
    """Show what happened."""
    with of(ctx).city().registry() as registry, registry.reading() as connection:
        entries = log.entries(connection, subject=subject, last=last)
    if as_json:
        say_json([entry._asdict() for entry in entries])
    else:
        rows = [
            [str(each.seq), datetime.fromtimestamp(each.at_s, UTC).strftime("%Y-%m-%d %H:%M:%S"), *each[2:5]]
            for each in entries
        ]
        say_table(["entry", "time (UTC)", "who", "what", "about"], rows)


@keys_app.command("rotate")
def rotate(ctx: typer.Context, what: What) -> None:
    """Give a device a new key. The old one is gone: the board has to be made or flashed anew."""
    with of(ctx).city().registry() as registry, registry.change() as change:
        record = moves.rotate_key(change, registry.keys(), what)
    say(f"{record.id} {record.fingerprint}")
    note(f"next: lykta board make {record.dev_eui} IMAGE")


@keys_app.command("rotate-kek")
def rotate_kek(
    ctx: typer.Context,
    finish: Annotated[
        bool, typer.Option("--finish", help="Take the old key out, once every gateway has the new file.")
    ] = False,
) -> None:
    """Exchange the key that all device keys are encrypted under. It may be interrupted and run again."""
    city = of(ctx).city()
    for line in rotation.finish(city) if finish else rotation.rotate(city):
        note(line)
