# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta command` and `lykta settings`: signed commands for devices, followed until they have answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from consumer import results
from consumer.certificates import TrustStore
from provisioning import commanding
from provisioning.cli.broker_options import Line, line
from provisioning.cli.output import note, of, say, say_json, stop_signals
from provisioning.cli.shared_options import sharing
from provisioning.errors import ConfigError
from provisioning.orders import GET, RESET, SET, SETTINGS_VERBS, arguments_of
from provisioning.register import desk
from provisioning.verification import authorities, deadline, gateway_certificates

_GATEWAYS_S = 10.0
settings = typer.Typer(no_args_is_help=True, help="Settings of devices, from afar.", rich_markup_mode=None)

Target = Annotated[
    str,
    typer.Argument(
        metavar="DEVICE", help="Ids, names or DevEUIs with commas between; or owner:ORG, batch:NAME, kind:KIND …"
    ),
]


@dataclass(frozen=True)
class How:
    """What options every command has."""

    line: Line
    commander: str
    key: Path
    gateways: list[str]
    expires: str
    wait: str
    dry_run: bool
    as_json: bool


@sharing(broker=line)
def how_to(
    broker: Line,
    commander: Annotated[
        str, typer.Option("--as", envvar="LYKTA_COMMANDER", metavar="ID", help="Who commands (lykta commander).")
    ],
    key: Annotated[
        Path, typer.Option("--key", envvar="LYKTA_COMMANDER_KEY", metavar="FILE", help="The commander's private key.")
    ],
    gateway: Annotated[
        list[str] | None, typer.Option("--gateway", metavar="NAME", help="Through these gateways only; repeatable.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="It must reach the device within 15m, 2h, 1d.")
    ] = "1h",
    wait: Annotated[
        str, typer.Option("--wait", metavar="TIME", help="How long to wait for answers; 0s: until gateways have it.")
    ] = "2m",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask gateways whether they would obey; nothing is done.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each result and the summary as JSON.")] = False,
) -> How:
    """Through which broker, as whom, and how patiently."""
    return How(broker, commander, key, gateway or [], expires, wait, dry_run, as_json)


@sharing(how=how_to)
def command(
    ctx: typer.Context,
    how: How,
    verb: Annotated[str, typer.Argument(metavar="VERB", help="dim, release, report_status, self_test, restart …")],
    target: Target,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[VALUE|NAME=VALUE]...", help="Arguments: 40, fade_ms=500 …")
    ] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long it holds: 2h.")] = None,
) -> None:
    """Order something from devices. Exit 0 only when all of them have done it."""
    if verb in SETTINGS_VERBS:
        raise typer.BadParameter(f"lykta settings {verb.partition('.')[2]} does this")
    _run(ctx, how, target, verb, lambda kind: _arguments(kind, verb, values or [], for_))


def _arguments(kind: str, verb: str, values: list[str], for_: str | None) -> dict[str, Any]:
    names = arguments_of(kind, verb)
    given: dict[str, Any] = {}
    for text in values:
        name, separator, value = text.partition("=")
        if not separator:
            if not names or names[0] in given:
                raise ConfigError(f"{verb} takes no value without a name here.", value=text[:40])
            name, value = names[0], text
        given[name] = _value(value)
    if for_ is not None:
        given["minutes"] = max(1, commanding.seconds(for_) // 60)
    return given


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _run(ctx: typer.Context, how: How, target: str, verb: str, arguments: Any) -> None:
    city = of(ctx).city()
    key = desk.read_signer(how.key)
    with city.registry() as registry:
        devices = commanding.devices_of(registry, target)
        what = (verb, arguments(devices[0].kind))
        commanding.check(devices, *what)
        gateways = commanding.gateways_of(registry, how.gateways)
        life_s = commanding.seconds(how.expires)
        given = commanding.give(how.commander, key, gateways, devices, what, life_s=life_s, dry_run=how.dry_run)
        with registry.change() as change:
            body = {
                "commander": how.commander,
                "verb": verb,
                "arguments": what[1],
                "devices": [device.dev_eui.hex() for device in devices],
                "gateways": sorted(given.messages),
                "expires_s": given.exp_s,
                "dry_run": how.dry_run,
            }
            change.log("command.give", given.command_id.hex(), body)
    names = {device.dev_eui: device.name for device in devices}
    trust = TrustStore(authorities(city, None))
    following = commanding.Following(given, trust, lambda result: _show(result, names, how.as_json), note)
    for pem in gateway_certificates(city, None):
        following.certificate(pem)
    note(f"command {given.command_id.hex()} for {len(devices)} devices through {len(gateways)} gateways")
    _follow(how, following)
    said = {eui.hex(): result.state for eui, result in following.devices.items()}
    with city.registry() as registry, registry.change() as change:
        whole = {eui: result.state for eui, result in following.answered.items()}
        change.log("command.end", given.command_id.hex(), {"gateways": whole, "devices": said})
    _conclude(following, how)


def _follow(how: How, following: commanding.Following) -> None:
    wait_s = commanding.seconds(how.wait)
    stopped, over = stop_signals(), deadline(max(_GATEWAYS_S, wait_s))

    def ended() -> bool:
        return bool(stopped) or over() or following.over or (wait_s == 0 and following.taken)

    how.line.subscriber(following.handlers()).run(ended)


def _conclude(following: commanding.Following, how: How) -> None:
    done = following.allowed_everywhere if how.dry_run else following.done_everywhere
    if how.as_json:
        states = {eui.hex(): result.state for eui, result in following.devices.items()}
        say_json({"command": following.given.command_id.hex(), "done": done, "devices": states})
    else:
        number = sum(result.state == "done" for result in following.devices.values())
        over = "" if following.over else "; the others have not answered yet, and the command stays valid"
        say(
            "would be obeyed by all"
            if how.dry_run and done
            else f"{number} of {len(following.given.devices)} done{over}"
        )
    if not done:
        raise typer.Exit(1)


def _show(result: results.Result, names: dict[bytes, str], as_json: bool) -> None:
    if as_json:
        found = {
            "gateway": result.gateway,
            "device": None if result.device is None else result.device.hex(),
            "state": result.state,
            "why": result.why,
            "answer": dict(result.answer),
            "left_out": dict(result.left_out),
        }
        say(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
        return
    who = f"gateway {result.gateway.rpartition(':')[2]}"
    if result.device is not None:
        who = f"{names.get(result.device) or '-'} ({result.device.hex()})"
    why = f": {result.why}" if result.why else ""
    more = "".join(f" {name}={json.dumps(value)}" for name, value in result.answer.items() if name != "answer")
    say(f"{who} {result.state}{why}{more}")
    for eui, reason in result.left_out.items():
        say(f"  without {names.get(bytes.fromhex(eui)) or '-'} ({eui}): {reason}")


@settings.command("set")
@sharing(how=how_to)
def set_(
    ctx: typer.Context,
    how: How,
    target: Target,
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="interval_s=60, groups=[1,2] …")],
) -> None:
    """Change settings; a device takes all of them or none, and keeps them when its power goes."""
    given = {}
    for text in values:
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
        given[name] = _value(value)
    _run(ctx, how, target, SET, lambda _kind: given)


@settings.command("get")
@sharing(how=how_to)
def get(
    ctx: typer.Context,
    how: How,
    target: Target,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all.")] = None,
) -> None:
    """Ask devices for their settings."""
    _run(ctx, how, target, GET, lambda _kind: names or [])


@settings.command("reset")
@sharing(how=how_to)
def reset(
    ctx: typer.Context,
    how: How,
    target: Target,
) -> None:
    """Bring devices back to the settings that they were made with."""
    _run(ctx, how, target, RESET, lambda _kind: {})
