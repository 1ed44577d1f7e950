# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta enroll`, `lykta enrolled`, `lykta label`: from a blank board to one with an identity, a record and a label."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from provisioning.bench import batch, enrolment, label, plans, ports, record
from provisioning.bench.enrolment import Bench, Enrolled, Enrolment, Wanted
from provisioning.bench.errors import AmbiguousPort, BenchError
from provisioning.bench.joined import HEARD_S
from provisioning.bench.session import Session
from provisioning.city import City
from provisioning.cli.bench import BoardOption, JsonOption, VirtualOption, WatchdogOption, rehearsed
from provisioning.cli.output import complain, note, of, say, say_json, say_table
from provisioning.cli.rows import rows, short
from provisioning.errors import ProvisioningError
from provisioning.identities import parse_eui
from provisioning.images import DEFAULT_INTERVAL_MS, LINKS, default_board
from provisioning.register import desk

Plan = Annotated[
    Path | None, typer.Option("--batch", metavar="FILE.csv", help="One board a line: port, kind or device, name...")
]
_NAMED = 2
"""So many devices are named in the next command; more would fill the screen."""


def _known(kind: str | None) -> str | None:
    if kind is not None and kind not in plans.board_kinds():
        raise typer.BadParameter(f"{kind!r} is none of: {', '.join(plans.board_kinds())}")
    return kind


KindOption = Annotated[str | None, typer.Option("--kind", help="Register new devices of this kind.", callback=_known)]
MustHear = Annotated[
    Path | None,
    typer.Option("--gateway", metavar="PATH", help="gateway.toml of one that must hear the board join and report."),
]


def enroll(
    ctx: typer.Context,
    port: Annotated[list[str] | None, typer.Argument(metavar="PORT", help="One or more; see lykta ports.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every board that is plugged in.")] = False,
    kind: KindOption = None,
    device: Annotated[str | None, typer.Option("--device", metavar="DEV_EUI", help="One that is registered.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of a new device.")] = None,
    board: BoardOption = None,
    link: Annotated[str, typer.Option("--link", help=f"How it is to talk: {', '.join(LINKS)}.")] = "serial",
    interval_ms: Annotated[int, typer.Option("--interval-ms", min=50, max=86_400_000)] = DEFAULT_INTERVAL_MS,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", help="A part that this bench does not have.")
    ] = None,
    serial: Annotated[str, typer.Option("--serial", help="Serial number for the label.")] = "",
    plan: Plan = None,
    gateway: MustHear = None,
    heard_s: Annotated[float, typer.Option("--heard-s", min=1, max=7200, help="How long it may take.")] = HEARD_S,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a word before what cannot be undone.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Boards at a time.")] = batch.MAX_JOBS,
    watchdog_ms: WatchdogOption = 0,
    virtual: VirtualOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Give boards firmware, identity, proof, record and label in one pass. It resumes where it was interrupted."""
    wanted = Wanted(
        kind=kind,
        dev_eui=None if device is None else parse_eui(device),
        name=name,
        board=board or (default_board(kind or "", link) if virtual else None),
        link=link,
        interval_ms=interval_ms,
        without=frozenset(without or ()),
        serial=serial,
        gateway=gateway,
        heard_s=heard_s,
    )
    planned = {} if plan is None else plans.read(plan, wanted)
    boards = len(planned) if virtual and planned else virtual  # a rehearsal of a batch has a board for each line
    with rehearsed(boards, wanted.board or "virtual") as extra:
        chosen = _chosen(list(planned) or port or [], every, extra)
        if planned:
            _refuse_same(planned, chosen)
        else:
            _refuse_many(wanted, chosen)
        what = {path: planned.get(asked, wanted) for asked, path in zip(planned or chosen, chosen, strict=True)}
        ended = _enrolled(of(ctx).city(), chosen, what, jobs, watchdog_ms, yes)
    _show(ended, as_json, of(ctx).city())
    if any(row.error is not None for row in ended):
        raise typer.Exit(1)


def _enrolled(
    city: City,
    chosen: dict[str, ports.Port],
    wanted: dict[str, Wanted],
    jobs: int,
    watchdog_ms: int,
    yes: bool,
) -> list[batch.Row[Enrolled]]:
    """Do each board's job."""
    with city.registry() as registry, rows(list(chosen)) as shown:
        bench = Bench.of(city, registry)

        def stopping() -> None:
            shown.stop()
            note("stopping: each board ends the step in hand; the same command goes on from there")

        def job(path: str) -> Enrolled:
            work = Enrolment(
                bench,
                chosen[path],
                wanted[path],
                Session(path, watchdog_ms=watchdog_ms),
                step=partial(shown.step, path),
                confirm=_agreed if yes else shown.ask,
            )
            try:
                done = work.run(partial(shown.moved, path))
            except ProvisioningError:
                shown.ended(path, "FAILED")
                raise
            shown.ended(path, f"is {done.device.dev_eui.hex()}")
            return done

        return batch.run(list(chosen), job, jobs, stopping)


def enrolled(
    ctx: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="By id (TRK-2041), DevEUI or name.")],
) -> None:
    """Print the signed records of a device's boards, checked against the city's certificate."""
    city = of(ctx).city()
    with city.registry() as registry:
        say_json(record.stored(registry, city.ca_certificate(), desk.speaking(registry, device).dev_eui.hex()))


def labels(
    ctx: typer.Context,
    device: Annotated[
        list[str],
        typer.Argument(metavar="DEVICE", help="One or more, by id (TRK-2041), DevEUI or name."),
    ],
    png: Annotated[Path | None, typer.Option("--png", metavar="DIR", help="A picture of each, in this folder.")] = None,
    sheet: Annotated[Path | None, typer.Option("--sheet", metavar="FILE.pdf", help="All on A4 sheets.")] = None,
    zpl: Annotated[Path | None, typer.Option("--zpl", metavar="FILE", help="All for a Zebra printer.")] = None,
    serial: Annotated[str, typer.Option("--serial", help="Serial number, of one device.")] = "",
    profile_id: Annotated[str, typer.Option("--profile-id", metavar="HEX", help="VendorID and profile, 8 digits.")] = (
        label.NO_VENDOR
    ),
) -> None:
    """Print LoRaWAN labels (TR005): the QR code's text, and pictures, sheets or ZPL where asked for."""
    city = of(ctx).city()
    made = []
    with city.registry() as registry:
        for text in device:
            made.append(enrolment.label_of(city, desk.speaking(registry, text), serial, profile_id.upper()))
    for each in made:
        say(each.code)
    if png is not None:
        png.mkdir(parents=True, exist_ok=True)
        for each in made:
            label.save_png(each, png / f"{each.dev_eui.hex()}.png")
    if sheet is not None:
        label.save_sheet(made, sheet)
    if zpl is not None:
        zpl.write_text("".join(label.zpl(each) for each in made), "utf-8")


def _chosen(wanted: list[str], every: bool, extra: list[str]) -> dict[str, ports.Port]:
    listed = [port for port in ports.listed(extra) if port.answers not in ("drive", "dfu")]
    if extra:
        return {path: ports.Port(path) for path in extra}
    if every:
        return {port.path: port for port in listed}
    found = [ports.choose(listed, each) for each in wanted] if wanted else [ports.choose(listed, None)]
    return {port.path: port for port in found}


def _refuse_many(wanted: Wanted, chosen: dict[str, ports.Port]) -> None:
    single = wanted.dev_eui is not None or wanted.name is not None or bool(wanted.serial)
    if single and len(chosen) > 1:
        raise AmbiguousPort(
            "One device, name or serial number is for one board.",
            value=f"{len(chosen)} boards",
            next_step="name one port; or leave it out to register a device for each board",
        )


def _refuse_same(planned: dict[str, Wanted], chosen: dict[str, ports.Port]) -> None:
    if planned and len(chosen) != len(planned):
        raise AmbiguousPort(
            "Two lines of the batch name the same board.",
            value=f"{len(planned)} lines, {len(chosen)} boards",
            reason="A board has a path, a name under /dev/serial/by-id and a serial number.",
            next_step="lykta ports shows which are one",
        )


def _agreed(_what: str, _word: str) -> bool:
    return True


def _show(found: list[batch.Row[Enrolled]], as_json: bool, city: City) -> None:
    if as_json:
        say_json([_as_json(row) for row in found])
        return
    names = short([row.port for row in found])
    table = []
    for row in found:
        if row.done is not None:
            done = row.done
            took = f"{done.seconds:.0f} s"
            table.append([names[row.port], done.device.dev_eui.hex(), done.board, done.build, took, "done"])
        else:
            table.append([names[row.port], "", "", "", "", "FAILED"])
    say_table(["port", "DevEUI", "board", "build", "time", "result"], table)
    for row in found:
        if row.error is not None:
            note(f"{row.port}:")
            complain(row.error)
        elif row.done is not None and row.done.room is not None and not row.done.room.fits:
            note(f"{row.port}: no release from afar will fit: {row.done.room}")
    devices = [row.done.device.dev_eui.hex() for row in found if row.done is not None]
    if devices:
        note(f"a label of each (PNG, ZPL) is in {city.home / record.FOLDER / 'labels'}")
        named = " ".join(devices) if len(devices) <= _NAMED else "DEV_EUI..."
        note(f"next: lykta -C {city.home} label {named} --sheet labels.pdf")


def _as_json(row: batch.Row[Enrolled]) -> dict[str, object]:
    done = row.done
    if done is None:
        error = row.error or ProvisioningError("failed")
        return {
            "port": row.port,
            "done": False,
            "error": error.state,
            "found": None if error.value is None else str(error.value),
            "next_step": error.next_step,
            "retry": isinstance(error, BenchError) and error.retry,
        }
    return {
        "port": row.port,
        "done": True,
        "dev_eui": done.device.dev_eui.hex(),
        "name": done.device.name,
        "board": done.board,
        "build": done.build,
        "self_test": done.proof.self_test,
        "label": done.label.code,
        "seconds": round(done.seconds, 3),
        "interruptions": done.interruptions,
        "heard_by_gateway": None if done.heard is None else done.heard.as_json(),
        "room_for_releases": None if done.room is None else done.room.fits,
    }
