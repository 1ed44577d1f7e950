# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta audit` and `lykta snapshot`: the whole stock, judged and taken along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli import guideline_options as options
from provisioning.cli.output import note, say
from provisioning.guidelines import snapshot as snapshots
from provisioning.guidelines.engine import guidelines
from provisioning.guidelines.findings import Mode
from provisioning.private_files import write_new


def audit(
    ctx: typer.Context,
    snapshot: options.FromSnapshot = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="ORG", help="Only devices of this organisation.")
    ] = None,
    output: options.Output = "text",
    lang: options.Lang = None,
    strict: options.Strict = False,
    at: options.At = None,
) -> None:
    """Audit every registered device with the rules of today. A device that stood before a rule came has time to follow.

    Exits as lykta check does. Nothing is changed, and nothing that runs is switched off.
    """
    language, now = options.language_of(lang), options.moment_of(at)
    options.renderer_of(output)
    with options.source(ctx, snapshot) as found:
        rules = guidelines(found.stock, found.loaded, mode=Mode.AUDIT, now=now)
        options.finish(
            rules.audit(owner), found.frame(now), output=output, language=language, strict=strict, everything=False
        )


def snapshot(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
) -> None:
    """Write the register and its rules into a file, for lykta check without a network. It holds no keys."""
    with options.source(ctx, None) as found:
        text = snapshots.text_of(snapshots.take(found.stock, found.loaded))
        revision = found.stock.revision
    write_new(file, text.encode())
    say(str(file))
    note(f"the register at revision {revision}; next: lykta check RECORD.toml --snapshot {file}")
