# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Options of every command that talks to a broker: where it is, and how to get in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from provisioning.broker_access import PLAIN_SCHEME, TLS_PORT, TLS_SCHEME, Access, AccessOptions
from provisioning.enroll import Broker, parse_broker

BROKER_HELP: Final = "Subscribe by MQTT; mqtts://HOST:PORT with TLS."
BrokerCa = Annotated[
    Path | None, typer.Option("--broker-ca", metavar="FILE", help="Authority of the broker (PEM); this means TLS.")
]
BrokerCert = Annotated[
    Path | None, typer.Option("--broker-cert", metavar="FILE", help="Client certificate for the broker (PEM).")
]
BrokerKey = Annotated[Path | None, typer.Option("--broker-key", metavar="FILE", help="Its private key (PEM).")]
Username = Annotated[str | None, typer.Option("--username", help="Name at the broker.")]
Password = Annotated[
    str | None,
    typer.Option("--password-ref", metavar="REF", help="Its password: file:PATH, env:NAME or credential:NAME."),
]


def reach(
    broker: str, ca: Path | None, cert: Path | None, key: Path | None, username: str | None, password: str | None
) -> tuple[Broker, Access]:
    """The broker and how to get in. Raises ConfigError, BrokerError, SecretError."""
    tls = broker.startswith(TLS_SCHEME)
    address = broker.removeprefix(TLS_SCHEME).removeprefix(PLAIN_SCHEME).removesuffix("/")
    if tls and not address.rpartition(":")[2].isdigit():
        address = f"{address}:{TLS_PORT}"
    return parse_broker(address), AccessOptions(tls, ca, cert, key, username, password).load()
