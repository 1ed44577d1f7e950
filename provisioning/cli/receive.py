# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta receive`: keep verified readings for good. `lykta prove`: show that a period of them is whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from consumer.ledger.prove import lines
from consumer.ledger.prove import prove as prove_period
from consumer.ledger.receiver import Receiver
from consumer.report import VerifiedReading
from provisioning.cli.broker_options import Line, line
from provisioning.cli.output import note, say, say_json, stop_signals
from provisioning.cli.shared_options import sharing
from provisioning.cli.verify import Ca, city_or_none
from provisioning.receiving import Reception, open_day_files, open_store, receipt_signer
from provisioning.verification import build_authenticator, deadline, gateway_certificates, reading_json, reading_line

DEFAULT_STORE = "sqlite:received.sqlite"
Store = Annotated[str, typer.Option("--store", metavar="URL", help="sqlite:FILE or postgresql://user@host/database.")]


@sharing(broker=line)
def receive(
    ctx: typer.Context,
    broker: Line,
    name: Annotated[str, typer.Option("--name", help="This platform's name: its session at the broker, its receipts.")],
    store: Store = DEFAULT_STORE,
    ca: Ca = None,
    files: Annotated[
        Path | None, typer.Option("--files", metavar="DIR", help="Also write each day's readings as JSON Lines here.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="DIR", help="Give signed receipts with the key here; it is made when missing."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each reading and the summary as JSON.")] = False,
    for_s: Annotated[float | None, typer.Option("--for", metavar="S", min=0, help="End after so many seconds.")] = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N readings.")] = None,
) -> None:
    """Verify readings and keep each once, durably, until Ctrl-C; tell gateways by signed receipts what is held."""
    city = city_or_none(ctx)
    signer = None
    if keys is not None:
        signer, certificate = receipt_signer(name, keys)
        note(f"receipts are signed as {name}; gateways accept them with: receipts = [{str(certificate)!r}]")
    ledger = open_store(store)
    try:
        receiver = Receiver(build_authenticator(city, ca), ledger, signer)
        for pem in gateway_certificates(city, ca):
            receiver.certificate(pem)
        show = _show_json if as_json else _show
        run = Reception(receiver, open_day_files(ledger, files) if files else None, show, note)
        stopped, over = stop_signals(), deadline(for_s)
        session = f"lykta-receive-{name}"
        broker.subscriber(run.handlers(note), session).run(
            lambda: bool(stopped) or over() or (count is not None and run.readings >= count)
        )
    finally:
        ledger.close()
    if as_json:
        say_json({"summary": run.summary()})
    else:
        say(", ".join(f"{number} {what}" for what, number in run.summary().items()))


def prove(
    ctx: typer.Context,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601; UTC unless it says otherwise.")],
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to here; default: now.")] = None,
    store: Store = DEFAULT_STORE,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the proof as JSON.")] = False,
) -> None:
    """Check every message of a period again, from its bytes; exit 0 only if all is there, signed and unbroken."""
    from_s, to_s = _moment(begin), int(datetime.now(UTC).timestamp()) + 1 if end is None else _moment(end)
    if from_s >= to_s:
        raise typer.BadParameter("the period ends before it begins")
    ledger = open_store(store)
    try:
        proof = prove_period(ledger, build_authenticator(city_or_none(ctx), ca), from_s, to_s)
    finally:
        ledger.close()
    if as_json:
        say_json({"whole": proof.whole, **proof.to_dict()})
    else:
        for line in lines(proof):
            say(line)
    if not proof.whole:
        raise typer.Exit(1)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 time such as 2026-11-22 or 2026-11-22T13:00Z") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _show(gateway: str, reading: VerifiedReading) -> None:
    say(reading_line(gateway, reading))


def _show_json(gateway: str, reading: VerifiedReading) -> None:
    say(reading_json(gateway, reading))
