# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta update`: boards on a cable as they are named, and signed releases for boards in the field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from boards.schema import load_board
from firmware.wire import update
from provisioning.bench.package import Purpose, package_for
from provisioning.cli import rollouts
from provisioning.cli.flash import update_boards
from provisioning.cli.output import note, of, say, say_json
from provisioning.errors import BoardError
from provisioning.updates import bundle, keys, release
from provisioning.updates.release import HEALTH_S, SUFFIX
from provisioning.updates.room import room

_CABLE = "cable"


class _CableFirst(TyperGroup):
    """What is no command of the group is a port: `lykta update /dev/ttyUSB0`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """See click."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [_CABLE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_CableFirst,
    rich_markup_mode=None,
    help="New builds of the node: to boards on a cable (lykta update PORT...), or signed, for boards in the field.",
)
app.command(_CABLE)(update_boards)
app.command("plan")(rollouts.plan)
app.command("start")(rollouts.start)
app.command("status")(rollouts.status)
app.command("abort")(rollouts.abort)

File = Annotated[Path, typer.Argument(metavar="RELEASE", exists=True, dir_okay=False, help="A .lyktaup file.")]


@app.command("key")
def key(ctx: typer.Context) -> None:
    """Make the key that signs releases. Boards that are enrolled from then on trust it."""
    public = keys.create(of(ctx).city())
    say(release.key_id(public).hex())
    note("next: lykta enroll, then lykta update sign --sequence 1 --board NAME --kind KIND --links LINKS")


@app.command("sign")
def sign(
    ctx: typer.Context,
    sequence: Annotated[int, typer.Option("--sequence", min=1, help="Above that of every release before.")],
    board: Annotated[str, typer.Option("--board", metavar="NAME", help="For which boards: lykta boards.")],
    kind: Annotated[str | None, typer.Option("--kind", help="For which kind of device; needs --links.")] = None,
    links: Annotated[
        str | None, typer.Option("--links", metavar="A,B", help="As it was enrolled: serial,lora.")
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option("--base", exists=True, metavar="RELEASE", help="What they run now: its files are not sent again."),
    ] = None,
    health_s: Annotated[int, typer.Option("--health-s", min=10, max=update.MAX_HEALTH_S)] = HEALTH_S,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it.")] = None,
) -> None:
    """Build the node of this toolkit for one sort of boards, and sign it."""
    if (kind is None) != (links is None):
        raise typer.BadParameter("--kind and --links belong together: they choose the files that a board has")
    purpose = None if kind is None or links is None else Purpose(kind, frozenset(links.split(",")))
    before = None if base is None else release.Base.of_release(release.read(base.read_bytes(), str(base)))
    signer = keys.signing(of(ctx).city())
    package = package_for(board, purpose)
    made = release.make(package, sequence, signer, base=before, health_s=health_s)
    target = out or Path(f"{board}-{sequence}{SUFFIX}")
    try:
        with target.open("xb") as file:
            file.write(made.write())
    except OSError as error:
        raise BoardError(f"The release cannot be written: {error.strerror}.", value=target) from error
    say(f"{target}: build {made.name}, sequence number {sequence}, {len(made.bundle)} bytes")
    found = room(load_board(board), package, len(made.bundle))
    if not found.fits:
        say(f"{board} has little room for it: {found}. It may refuse the release; then only a cable helps.")


@app.command("show")
def show(
    ctx: typer.Context, file: File, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Check a release against this city's keys, and say what is in it."""
    found = keys.checked(of(ctx).city(), file)
    manifest, files = found.manifest, bundle.listed(found.bundle)
    facts = {
        **found.facts,
        "mpy": manifest[update.M_MPY],
        "health_s": manifest[update.M_HEALTH_S],
        "files": len(files),
    }
    if as_json:
        say_json(facts)
        return
    for name, value in facts.items():
        say(f"{name:10}{value}")
