# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta update plan`, `start`, `status` and `abort`: a signed release to many boards, in waves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from firmware.wire import update
from provisioning.cli.output import note, of, say, say_json
from provisioning.entries import Device
from provisioning.errors import BoardError, UnknownDevice
from provisioning.register import desk, rollout_changes, rollouts
from provisioning.registry import Registry
from provisioning.updates import keys, picture, rollout
from provisioning.updates.release import Release
from provisioning.updates.rollout import BoardState, Gates, Standing

EXIT_STOPPED = 1
_LOOK_S = 2.0
Looked = tuple[rollouts.Rollout, list[BoardState], Standing]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the roll-out.")]


def plan(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="RELEASE", exists=True, dir_okay=False, help="A .lyktaup file.")],
    device: Annotated[
        list[str] | None,
        typer.Argument(metavar="DEVICE", help="By id, DevEUI or name; default: every registered one of its kind."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Default: that of the file.")] = None,
    waves: Annotated[
        str, typer.Option("--waves", metavar="1,10%", help="Boards of each wave, or shares; the rest is the last.")
    ] = "1,10%",
    confirm_percent: Annotated[
        int, typer.Option("--confirm-percent", min=1, max=100, help="So many of a wave, then the next begins.")
    ] = 100,
    max_failed: Annotated[int, typer.Option("--max-failed", min=0, help="When more failed, it stops by itself.")] = 0,
    rest_s: Annotated[
        int, typer.Option("--rest-s", min=0, max=30 * 86400, help="Between the last confirmation and the next wave.")
    ] = 0,
) -> None:
    """Plan a roll-out: which boards, in which waves, and when it stops. Nothing is sent before it is started."""
    city = of(ctx).city()
    release = keys.checked(city, file)
    called = _name(name or file.stem)
    with city.registry() as registry:
        chosen = _chosen(registry, release, device or [])
        sizes = rollout.waves(waves, len(chosen))
        numbered = [number for number, size in enumerate(sizes, 1) for _ in range(size)]
        boards = [BoardState(each.dev_eui.hex(), wave) for each, wave in zip(chosen, numbered, strict=True)]
        gates = Gates(confirm_percent, max_failed, rest_s)
        with registry.change() as change:
            rollout_changes.plan(change, called, (release.signed, release.bundle), gates, release.facts, boards)
    say(f"{called}: {len(chosen)} boards, waves of {', '.join(map(str, sizes))}; build {release.name}")
    note(f"next: lykta update start {called}")


def start(ctx: typer.Context, name: Name) -> None:
    """Let the gateways begin."""
    with of(ctx).city().registry() as registry, registry.change() as change:
        rollout_changes.set_state(change, name, rollout.STARTED, (rollout.PLANNED,))
    note(f"gateways begin within seconds; lykta update status {name} --watch shows it")


def abort(ctx: typer.Context, name: Name) -> None:
    """Begin no more boards; what is half sent is withdrawn. A board that has it on trial or confirmed it keeps it."""
    with of(ctx).city().registry() as registry, registry.change() as change:
        rollout_changes.set_state(change, name, rollout.ABORTED, (rollout.PLANNED, rollout.STARTED))
    note("boards that run it go on running it; a release with a higher sequence number takes them elsewhere")


def status(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Default: all, a line each.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="A picture of it.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Until it is over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how far a roll-out is. The exit code is 1 when it stopped by itself."""
    with of(ctx).city().registry() as registry:
        if name is None:
            _list(registry, as_json)
            return
        named = {each.dev_eui.hex(): each.name for each in registry.devices()}
        found, boards, standing = _watched(registry, name, named) if watch else _look(registry, name)
    if svg is not None:
        try:
            svg.write_text(picture.svg(found, boards, standing), "utf-8")
        except OSError as error:
            raise BoardError(f"The picture cannot be written: {error.strerror}.", value=svg) from error
    if as_json:
        say_json(_as_json(found, boards, standing))
    else:
        say("\n".join(picture.text(found, boards, standing, named, time.time())))
    if standing.state == rollout.STOPPED:
        raise typer.Exit(EXIT_STOPPED)


def _look(registry: Registry, name: str) -> Looked:
    with registry.reading() as connection:
        found = rollouts.known(connection, name)
        boards = rollouts.boards(connection, name)
    return found, boards, rollout.standing(found.state, found.gates, boards, time.time())


def _watched(registry: Registry, name: str, named: Mapping[str, str]) -> Looked:
    """Look until it is over: a picture drawn anew on a terminal, elsewhere a line whenever something changed."""
    console, told = Console(stderr=True), ""
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    looked = _look(registry, name)
    with suppress(KeyboardInterrupt), live or nullcontext():  # what was seen last is told as without --watch
        while (looked := _look(registry, name))[2].state in (rollout.PLANNED, rollout.RUNNING):
            if live is not None:
                live.update(_coloured(picture.text(*looked, named, time.time(), console.width)), refresh=True)
            elif (said := picture.line(name, looked[1], looked[2])) != told:
                note(told := said)
            time.sleep(_LOOK_S)
    return looked


def _coloured(lines: Sequence[str]) -> Text:
    shown = Text("\n".join([*lines, "Ctrl-C ends the watching, not the roll-out"]))
    for sign, style in (("█+", "green"), ("▓+", "yellow"), ("▒+", "cyan"), ("xx+|x(?=  )", "red")):
        shown.highlight_regex(sign, style)
    return shown


def _list(registry: Registry, as_json: bool) -> None:
    with registry.reading() as connection:
        names = [each.id for each in rollouts.every(connection)]
    looked = [_look(registry, name) for name in names]
    if as_json:
        say_json([_as_json(*each) for each in looked])
        return
    for found, boards, standing in looked:
        say(picture.line(found.id, boards, standing))
    if not looked:
        note("no roll-out was planned: lykta update plan RELEASE")


def _chosen(registry: Registry, release: Release, asked: Sequence[str]) -> list[Device]:
    """The devices as they were given, else as they were registered. Raises UnknownDevice, BoardError."""
    kind = release.manifest[update.M_KIND]
    known = {each.dev_eui: each for each in registry.devices() if each.state == "registered"}
    if asked:
        wanted = list(dict.fromkeys(desk.speaking(registry, text).dev_eui for text in asked))
        missing = [each.hex() for each in wanted if each not in known]
        if missing:
            raise UnknownDevice("A device is not registered.", value=missing[0], next_step="lykta devices")
        found = [known[each] for each in wanted]
    else:
        found = [each for each in known.values() if kind in ("", each.kind)]
    wrong = [each for each in found if kind not in ("", each.kind)]
    if wrong or not found:
        raise BoardError(
            "The release is not for this device." if wrong else "There is no device that the release is for.",
            value=f"{wrong[0].dev_eui.hex()}: {wrong[0].kind}, not {kind}" if wrong else kind,
            next_step="lykta update show RELEASE tells whom it is for",
        )
    return found


def _name(text: str) -> str:
    if not 1 <= len(text) <= 64 or not all(each.isalnum() or each in "._-" for each in text):
        raise BoardError("A roll-out's name has letters, digits, dots and dashes, 64 at most.", value=text[:80])
    return text


def _as_json(found: rollouts.Rollout, boards: Sequence[BoardState], standing: Standing) -> dict[str, Any]:
    return {
        "name": found.id,
        "state": standing.state,
        "why": standing.why,
        "wave": standing.wave,
        "waves": max((each.wave for each in boards), default=0),
        "counts": dict(standing.tally),
        "release": dict(found.facts),
        "boards": [vars(each) for each in boards],
    }
