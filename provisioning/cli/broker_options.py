# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Options of every command that talks to a broker: where it is, how to get in, and under which topics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from provisioning.broker_access import PLAIN_SCHEME, TLS_PORT, TLS_SCHEME, Access, AccessOptions
from provisioning.cli.shared_options import sharing
from provisioning.enroll import Broker, parse_broker
from provisioning.subscriber import DEFAULT_PREFIX, Handlers, Subscriber

_HELP: Final = "The MQTT broker; mqtts://HOST:PORT with TLS."


@dataclass(frozen=True)
class Line:
    """A broker as a person named it, how to get in, and what topics begin with there."""

    broker: Broker
    access: Access
    prefix: str

    def subscriber(self, handlers: Handlers, client_id: str | None = None) -> Subscriber:
        """Whoever hears it with *handlers*; with a *client_id* the broker keeps messages meanwhile."""
        return Subscriber(self.broker, handlers, client_id=client_id, prefix=self.prefix, access=self.access)


def way_in(
    prefix: Annotated[str, typer.Option("--prefix", help="Topics begin with this.")] = DEFAULT_PREFIX,
    broker_ca: Annotated[
        Path | None, typer.Option("--broker-ca", metavar="FILE", help="Authority of the broker (PEM); this means TLS.")
    ] = None,
    broker_cert: Annotated[
        Path | None, typer.Option("--broker-cert", metavar="FILE", help="Client certificate for the broker (PEM).")
    ] = None,
    broker_key: Annotated[
        Path | None, typer.Option("--broker-key", metavar="FILE", help="Its private key (PEM).")
    ] = None,
    username: Annotated[str | None, typer.Option("--username", help="Name at the broker.")] = None,
    password: Annotated[
        str | None,
        typer.Option("--password-ref", metavar="REF", help="Its password: file:PATH, env:NAME or credential:NAME."),
    ] = None,
) -> Callable[[str], Line]:
    """How to get in at a broker, wherever it is. The line raises ConfigError, BrokerError, SecretError."""

    def line_to(address: str) -> Line:
        tls = address.startswith(TLS_SCHEME)
        where = address.removeprefix(TLS_SCHEME).removeprefix(PLAIN_SCHEME).removesuffix("/")
        if tls and not where.rpartition(":")[2].isdigit():
            where = f"{where}:{TLS_PORT}"
        access = AccessOptions(tls, broker_ca, broker_cert, broker_key, username, password)
        return Line(parse_broker(where), access.load(), prefix)

    return line_to


@sharing(line_to=way_in)
def line(
    broker: Annotated[str, typer.Option("--broker", envvar="LYKTA_BROKER", metavar="HOST:PORT", help=_HELP)],
    line_to: Callable[[str], Line],
) -> Line:
    """The broker of a command that does nothing without one."""
    return line_to(broker)


@sharing(line_to=way_in)
def line_if_any(
    *,
    broker: Annotated[str | None, typer.Option("--broker", metavar="HOST:PORT", help=_HELP)] = None,
    line_to: Callable[[str], Line],
) -> Line | None:
    """The broker of a command that can also do without."""
    return None if broker is None else line_to(broker)
