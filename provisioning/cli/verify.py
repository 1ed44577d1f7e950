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
from provisioning.cli.broker_options import Line, line_if_any
from provisioning.cli.output import note, of, say, stop_signals
from provisioning.cli.shared_options import sharing
from provisioning.errors import NotACity
from provisioning.verification import Judgement, Verification, build_verifier, deadline, reading_json, reading_line

File = Annotated[
    Path | None, typer.Option("--file", help="A CBOR sequence of messages, or a directory of .cose and .pem.")
]
Ca = Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="CA certificates; default: the city's.")]
Certificates = Annotated[
    list[Path] | None,
    typer.Option(
        "--certificate",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        readable=True,
        help="A gateway's certificate; repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print each reading and the summary as JSON.")]
ForS = Annotated[float | None, typer.Option("--for", metavar="S", min=0, help="End after so many seconds.")]
Count = Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after so many readings.")]
ClientId = Annotated[
    str | None, typer.Option("--client-id", help="Let the broker keep messages for this name while away.")
]
FromStart = Annotated[bool, typer.Option("--from-start", help="Every stream must begin at record 1.")]
AcceptEdDsa = Annotated[bool, typer.Option("--accept-eddsa", help="Take the deprecated algorithm -8 too.")]


@sharing(line=line_if_any)
def verify(
    ctx: typer.Context,
    line: Line | None,
    file: File = None,
    ca: Ca = None,
    certificate: Certificates = None,
    as_json: Json = False,
    for_s: ForS = None,
    count: Count = None,
    client_id: ClientId = None,
    from_start: FromStart = False,
    accept_eddsa: AcceptEdDsa = False,
) -> None:
    """Check signed readings; exit 0 only if all are authentic and none is missing, forked or duplicated."""
    if (line is None) == (file is None):
        raise typer.BadParameter("give either --broker HOST:PORT or --file FILE")
    verifier = build_verifier(city_or_none(ctx), ca, from_start=from_start, accept_eddsa=accept_eddsa)
    run = Verification(Inbox(verifier), _show_json if as_json else _show, note)
    for path in certificate or []:
        run.certificate(path.read_bytes())
    stopped, over = stop_signals(), deadline(for_s)

    def ended() -> bool:
        return bool(stopped) or over() or (count is not None and run.readings >= count)

    if file is not None:
        run.files(file, ended)
    elif line is not None:
        line.subscriber(run.handlers(note), client_id).run(ended)
    _conclude(run.judgement(), as_json=as_json)


def _show(gateway: str, reading: VerifiedReading) -> None:
    say(reading_line(gateway, reading))


def _show_json(gateway: str, reading: VerifiedReading) -> None:
    say(reading_json(gateway, reading))


def _conclude(judgement: Judgement, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps({"summary": judgement.to_dict()}, ensure_ascii=False, separators=(",", ":")))
    else:
        for line in judgement.lines():
            say(line)
    if not judgement.ok:
        raise typer.Exit(1)


def city_or_none(ctx: typer.Context) -> City | None:
    """The city in this directory, if it is one."""
    try:
        return of(ctx).city()
    except NotACity:  # a platform has no city's directory, only its certificate
        return None
