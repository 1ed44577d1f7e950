# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta import` and `lykta export`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli.devices import BATCH, EXIT_NEEDS_APPROVAL, KIND, OWNER, REVISION, STAGE
from provisioning.cli.output import note, of, say, say_json
from provisioning.judging import judge_of, told_together
from provisioning.private_files import write_through
from provisioning.register import desk, files
from provisioning.register.batch import RowReport, import_rows
from provisioning.register.registration import Options

Form = Annotated[str | None, typer.Option("--format", metavar="csv|jsonl", help="Default: by the file's name.")]


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Records as CSV or JSON Lines.")],
    partial: Annotated[
        bool, typer.Option("--partial", help="Register the good rows though others are refused.")
    ] = False,
    keep_stage: Annotated[
        bool,
        typer.Option(
            "--keep-stage", help="Take over devices that stand already: the stage they say, no refusals by rule."
        ),
    ] = False,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="The vendor's keys: CSV with dev_eui,app_key.")
    ] = None,
    revision: Annotated[int | None, REVISION] = None,
    form: Form = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each row as JSON.")] = False,
) -> None:
    """Register a batch: every row or none. Run again after a correction, it leaves rows that are there alone."""
    city = of(ctx).city()
    rows = list(files.read(file, files.format_of(file, form)))
    app_keys = None if keys is None else files.read_keys(keys)
    options = Options(judge_of(city), keep_stage=keep_stage, app_keys=app_keys, revision=revision)
    with city.registry() as registry:
        reports = import_rows(registry, rows, options, partial=partial)
    if as_json:
        say_json([report.as_dict() for report in reports])
    else:
        _tell(reports)
    tally = Counter(report.status for report in reports)
    note(
        ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in sorted(tally.items()))
        or "the file is empty"
    )
    if tally["refused"]:
        note(
            "nothing was registered; correct these rows, or add --partial"
            if not partial
            else "correct these rows and run it again"
        )
        raise typer.Exit(1)
    if tally["needs_approval"]:
        raise typer.Exit(EXIT_NEEDS_APPROVAL)


def _tell(reports: Sequence[RowReport]) -> None:
    """What became of the rows: each row on its line, and then what the rules say, once for all rows it is said of."""
    for report in reports:
        if report.lines:
            say(f"{f'{_row(report)} {report.name}'.rstrip()}: {report.status.replace('_', ' ')}")
        if report.verdict is None:
            for line in report.lines:
                say(f"  {line}")
    judged = {report.device_id or _row(report): report.verdict for report in reports if report.verdict is not None}
    together = told_together(judged)
    if together:
        say("")
    for line in together:
        say(line)


def _row(report: RowReport) -> str:
    return f"line {report.number}"


def export(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A new file; default: the screen.")
    ] = None,
    form: Form = None,
    owner: Annotated[str | None, OWNER] = None,
    kind: Annotated[str | None, KIND] = None,
    stage: Annotated[str | None, STAGE] = None,
    batch: Annotated[str | None, BATCH] = None,
) -> None:
    """Write records as CSV or JSON Lines. They hold no keys. What is written can be imported as it is."""
    chosen = files.format_of(out or Path("-.jsonl"), form)
    with of(ctx).city().registry() as registry:
        found = desk.exported(registry, owner=owner, record_kind=kind, stage=stage, batch=batch)
        if out is None:
            count = files.write(found, sys.stdout, chosen)
        else:
            with write_through(out) as file:
                count = files.write(found, file, chosen)
    note(f"{count} devices")
