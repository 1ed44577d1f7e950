# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta ble`: boards in reach of this computer's Bluetooth, and a console on one of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.wire import gatt
from firmware.wire.errors import WireError
from provisioning.bench.enrolment import Bench
from provisioning.bluetooth import jobs, updating
from provisioning.bluetooth.console import Talk
from provisioning.bluetooth.contact import Contact
from provisioning.bluetooth.nearby import Directory, Known
from provisioning.bluetooth.radio import Found, Radio
from provisioning.cli.output import note, of, say, say_json, say_table, stop_signals
from provisioning.entries import Device
from provisioning.errors import BluetoothError
from provisioning.registry import Registry
from provisioning.updates import keys
from provisioning.updates.sender import TRIAL, Sender

app = typer.Typer(no_args_is_help=True, help="Boards in reach by Bluetooth.", rich_markup_mode=None)

_VERBS = "now, self_test, settings [NAME=VALUE...], log, or a command of its kind [NAME=VALUE...]"

Backend = Annotated[
    str,
    typer.Option("--backend", envvar="LYKTA_BLE_BACKEND", metavar="NAME", help="Who drives the radio; default BlueZ."),
]
AdapterName = Annotated[str | None, typer.Option("--adapter", metavar="HCI", help="Which adapter, for example hci1.")]


@app.command("scan")
def scan(
    ctx: typer.Context,
    seconds: Annotated[float, typer.Option("--for", metavar="S", min=0.5, help="Listen for so long.")] = 8.0,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Connect to registered boards for more.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    backend: Backend = "bluez",
    adapter: AdapterName = None,
) -> None:
    """List boards: registered or not, signal, whether something waits, battery, last contact with a gateway."""
    radio = Radio(backend, adapter)
    with of(ctx).city().registry() as registry:
        directory = Directory.of(registry)
    rows = asyncio.run(_scan(radio, directory, seconds, ask))
    if as_json:
        say_json(rows)
        return
    columns = ["address", "device", "kind", "dBm", "says", "battery", "last contact"]
    say_table(columns, [[_shown(row[column]) for column in columns] for row in rows])
    if not rows:
        note("no board is in reach; one that is connected to its gateway does not advertise")


async def _scan(radio: Radio, directory: Directory, seconds: float, ask: bool) -> list[dict[str, Any]]:
    rows = []
    for found in await radio.scan(seconds):
        known = directory.who(found)
        row: dict[str, Any] = {
            "address": found.address,
            "device": known.device.name if known else "not registered",
            "dev_eui": known.device.dev_eui.hex() if known else None,
            "kind": known.device.kind if known else None,
            "dBm": found.rssi_dbm,
            "says": _says(found.hint),
            "battery": None,
            "last contact": None,
        }
        if ask and known:
            row |= await _more(radio, directory, found, known)
        rows.append(row)
    return rows


async def _more(radio: Radio, directory: Directory, found: Found, known: Known) -> dict[str, Any]:
    name = known.device.name
    try:
        now = await Contact(radio, directory, lambda text: note(f"{name}: {text}")).hold(Talk.now, found)
    except (BluetoothError, WireError) as error:
        note(f"{name}: {error}")
        return {}
    values = now["values"]
    battery = ", ".join(
        f"{values[name]:g} {unit}" for name, unit in (("battery_pct", "%"), ("battery_v", "V")) if name in values
    )
    return {"battery": battery or None, "last contact": f"{now['contact_s']} s ago", "waiting": now["waiting"]}


@app.command("console")
def console(
    ctx: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its DevEUI or its name.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help=f"One of: {_VERBS}.")] = None,
    seconds: Annotated[float, typer.Option("--for", metavar="S", min=1, help="How long log listens.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    backend: Backend = "bluez",
    adapter: AdapterName = None,
) -> None:
    """Talk to a board: self-test, settings, log. Both sides prove that they hold the device's key."""
    with of(ctx).city().registry() as registry:
        directory = Directory.of(registry, [_named(registry, device)])
    asyncio.run(_console(Radio(backend, adapter), directory, words or ["now"], seconds, as_json))


@app.command("enroll")
def enroll(
    ctx: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its DevEUI or its name.")],
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", help="A part that is not there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    backend: Backend = "bluez",
    adapter: AdapterName = None,
) -> None:
    """Enrol a board that hangs already: it proves its key and tests itself; a signed record, a label. No cable.

    A blank board needs the cable: lykta enroll PORT.
    """
    city = of(ctx).city()
    with city.registry() as registry:
        found = _named(registry, device)
        proved = asyncio.run(
            _enroll(Radio(backend, adapter), Bench.of(city, registry), found, frozenset(without or ()))
        )
    if as_json:
        say_json({"dev_eui": found.dev_eui.hex(), "self_test": proved.self_test, "label": proved.label.code})
        return
    for name, verdict in proved.self_test.items():
        say(f"{name}: {verdict}")
    say(proved.label.code)


async def _enroll(radio: Radio, bench: Bench, device: Device, without: frozenset[str]) -> jobs.Proved:
    def step(what: str, remark: str) -> None:
        note(f"{device.name}: {what} {remark}".rstrip())

    return await Contact(radio, Directory.of(bench.registry, [device]), note).hold(
        lambda talk: jobs.enroll(talk, bench, device, without, step)
    )


@app.command("update")
def update(
    ctx: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its DevEUI or its name.")],
    file: Annotated[Path, typer.Argument(metavar="RELEASE", exists=True, dir_okay=False, help="A .lyktaup file.")],
    backend: Backend = "bluez",
    adapter: AdapterName = None,
) -> None:
    """Bring a signed release to a board. It goes on where it stopped; the same again says what became of the trial."""
    city = of(ctx).city()
    release = keys.checked(city, file)
    with city.registry() as registry:
        directory = Directory.of(registry, [_named(registry, device)])
    sender = Sender(release.signed, release.bundle)
    asyncio.run(updating.carry(Contact(Radio(backend, adapter), directory, note), sender, _tenths(device)))
    if sender.state == TRIAL:
        say(f"{release.name} is on trial: it stays when the gateway has sent it a receipt")
        note("next: the same command again, in some minutes, says whether it stayed")
    else:
        say(f"{release.name} runs")


def _tenths(device: str) -> Callable[[int, int], None]:
    shown = [-1]

    def report(done: int, total: int) -> None:
        if total and (tenth := 10 * done // total) > shown[0]:
            shown[0] = tenth
            note(f"{device}: {10 * tenth} % of {total} bytes")

    return report


def _named(registry: Registry, name: str) -> Device:
    found = next((each for each in registry.devices() if name in (each.name, each.dev_eui.hex())), None)
    if found is None:
        raise BluetoothError("No such device is registered.", value=name, next_step="lykta devices")
    return found


async def _console(radio: Radio, directory: Directory, words: list[str], seconds: float, as_json: bool) -> None:
    contact = Contact(radio, directory, note)
    if words[0] == "log":
        await _log(contact, seconds)
        return
    arguments = _arguments(words[1:])
    result = await contact.hold(lambda talk: _do(talk, words[0], arguments))
    if as_json:
        say_json(result)
    else:
        for name, value in result.items():
            say(f"{name}: {_shown(value)}")
        if not result:
            say("done")


async def _do(talk: Talk, verb: str, arguments: dict[str, object]) -> dict[str, Any]:
    if verb == "now":
        now = await talk.now()
        return {**{name: value for name, value in now.items() if name != "values"}, **now["values"]}
    if verb == "settings":
        return await talk.settings(arguments)
    return await talk.command(verb, arguments)


async def _log(contact: Contact, seconds: float) -> None:
    stopped = stop_signals()
    end_s = time.monotonic() + seconds

    async def listen(talk: Talk) -> None:
        await talk.listen(True)
        while not stopped and (left_s := end_s - time.monotonic()) > 0:
            line = await talk.line(min(0.5, left_s))
            if line:
                say(line)
        await talk.listen(False)

    await contact.hold(listen)


def _arguments(words: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise BluetoothError("This is not NAME=VALUE.", value=word)
        try:
            found[name] = json.loads(text)
        except ValueError:
            raise BluetoothError(f"{name}: a number, true, false or a list is expected.", value=text) from None
    return found


def _says(hint: bytes) -> str:
    try:
        flags = gatt.flags_of(hint)
    except WireError:
        return "another version"
    if flags & gatt.ALARM:
        return "alarm"
    return "readings wait" if flags & gatt.WAITING else "nothing new"


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
