# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta verify`: check signed readings from a broker or from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from consumer.inbox import Inbox
from consumer.report import VerifiedReading
from provisioning.city import City
from provisioning.cli.output import note, of, say, stop_signals
from provisioning.enroll import parse_broker
from provisioning.errors import NotACity
from provisioning.subscriber import DEFAULT_PREFIX, Subscriber
from provisioning.verification import Verification, build_verifier, deadline, reading_json, reading_line


def verify(
    ctx: typer.Context,
    broker: Annotated[str | None, typer.Option("--broker", metavar="HOST:PORT", help="Subscribe by MQTT.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A CBOR sequence of messages, or a directory of .cose and .pem.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="CA certificates; default: the city's.")
    ] = None,
    certificate: Annotated[
        list[Path] | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="A gateway's certificate; repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each reading and the summary as JSON.")] = False,
    for_s: Annotated[float | None, typer.Option("--for", metavar="S", min=0, help="End after so many seconds.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="End after so many readings.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option("--client-id", help="Let the broker keep messages for this name while away.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Topics begin with this.")] = DEFAULT_PREFIX,
    from_start: Annotated[bool, typer.Option("--from-start", help="Every stream must begin at record 1.")] = False,
    accept_eddsa: Annotated[bool, typer.Option("--accept-eddsa", help="Take the deprecated algorithm -8 too.")] = False,
) -> None:
    """Check signed readings; exit 0 only if all are authentic and none is missing, forked or duplicated."""
    if (broker is None) == (file is None):
        raise typer.BadParameter("give either --broker HOST:PORT or --file FILE")
    city = _city(ctx)
    verifier = build_verifier(city, ca, from_start=from_start, accept_eddsa=accept_eddsa)

    def show(gateway: str, reading: VerifiedReading) -> None:
        say(reading_json(gateway, reading) if as_json else reading_line(gateway, reading))

    run = Verification(Inbox(verifier), show, note)
    for path in certificate or []:
        run.certificate(path.read_bytes())
    stopped, over = stop_signals(), deadline(for_s)

    def ended() -> bool:
        return bool(stopped) or over() or (count is not None and run.readings >= count)

    if file is not None:
        run.files(file, ended)
    elif broker is not None:
        Subscriber(parse_broker(broker), run.handlers(note), client_id=client_id, prefix=prefix).run(ended)
    judgement = run.judgement()
    if as_json:
        say(json.dumps({"summary": judgement.to_dict()}, ensure_ascii=False, separators=(",", ":")))
    else:
        for line in judgement.lines():
            say(line)
    if not judgement.ok:
        raise typer.Exit(1)


def _city(ctx: typer.Context) -> City | None:
    try:
        return of(ctx).city()
    except NotACity:  # a platform has no city's directory, only its certificate
        return None
