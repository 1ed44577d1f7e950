# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta check`: what the guidelines say of records, before they are registered or of those that are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.cli import guideline_options as options
from provisioning.errors import ConfigError
from provisioning.guidelines import inputs
from provisioning.guidelines.batch import evaluate_together
from provisioning.guidelines.engine import guidelines
from provisioning.guidelines.findings import Mode
from provisioning.register import files

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord
    from provisioning.model.stock import Stock


def check(
    ctx: typer.Context,
    what: Annotated[
        list[str], typer.Argument(metavar="FILE|ID...", help="Files of records (.toml, .jsonl, .csv), or device ids.")
    ],
    snapshot: options.FromSnapshot = None,
    output: options.Output = "text",
    lang: options.Lang = None,
    strict: options.Strict = False,
    everything: options.Everything = False,
    at: options.At = None,
) -> None:
    """Check records against the guidelines; every finding at once, and how old the register is that it looked into.

    Exits 0 if they may be approved, 1 if something blocks them, 2 if they need an approval, 3 with --strict and
    warnings, 64 for a wrong call. Nothing is changed.
    """
    language, now = options.language_of(lang), options.moment_of(at)
    options.renderer_of(output)
    with options.source(ctx, snapshot) as found:
        records = [record for each in what for record in _records(each, found.stock)]
        options.some(records)
        rules = guidelines(found.stock, found.loaded, mode=Mode.CHECK, now=now)
        options.finish(
            evaluate_together(rules, records),
            found.frame(now),
            output=output,
            language=language,
            strict=strict,
            everything=everything,
        )


def _records(name: str, stock: Stock) -> list[DeviceRecord]:
    path = Path(name)
    if not path.is_file() and (registered := stock.device(name)) is not None:
        return [registered]
    return _rows(path) if path.suffix == ".csv" else inputs.read(path)


def _rows(path: Path) -> list[DeviceRecord]:
    """The records of a batch. Raises ConfigError that names every row that is none."""
    rows = list(files.read(path, "csv"))
    wrong = [str(each.error) for each in rows if each.error is not None]
    if wrong:
        raise ConfigError("\n".join(wrong), next_step=f"correct {path} and try again")
    return [each.record for each in rows if each.record is not None]
