# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta rehearse`: the life of a board, on a virtual one, from its factory to an update that it survives."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from provisioning.cli.ending import as_by_ctrl_c
from provisioning.cli.output import note, say, tell
from provisioning.demo import life
from provisioning.demo.plan import KINDS
from provisioning.errors import AlreadyExists
from provisioning.private_files import make_directory


def rehearse(
    kind: Annotated[str, typer.Option("--kind", help=f"What it is: {', '.join(KINDS)}.")] = "street_light",
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Keep everything here; default: a temporary one.")
    ] = None,
) -> None:
    """Show a board's life: blank, flashed, enrolled, reporting, updated, back from a bad update. Nothing is needed."""
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is none of: {', '.join(KINDS)}")
    with as_by_ctrl_c():
        home = Path(tempfile.mkdtemp(prefix="lykta-rehearsal-")) if folder is None else folder.absolute()
        make_directory(home, 0o700)
        if any(home.iterdir()):
            raise AlreadyExists("The directory is not empty.", value=folder, next_step="choose another --dir")
        story = _lived(home, kind, keep=folder is not None)
    say(f"done in {story.seconds:.0f} s: {len(story.seqs)} readings of {story.dev_eui} verified, none lost, none twice")
    if folder is not None:
        note(f"label: {story.label}; logs: {home / 'logs'}")


def _lived(home: Path, kind: str, keep: bool) -> life.Story:
    """Files that nobody asked for go, unless they may tell what went wrong."""
    try:
        story = life.live(home, kind, tell, note)
    except KeyboardInterrupt:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
        raise
    except BaseException:
        note(f"files and logs are in {home}")
        raise
    if not keep:
        shutil.rmtree(home, ignore_errors=True)
    return story
