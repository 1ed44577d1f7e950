# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a client gets in at a broker: TLS, a certificate of its own, a name and a password. Secrets are references."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioning.errors import BrokerError, ConfigError
from provisioning.secret_refs import load_secret

if TYPE_CHECKING:
    from paho.mqtt.client import Client

TLS_SCHEME: Final = "mqtts://"
PLAIN_SCHEME: Final = "mqtt://"
TLS_PORT: Final = 8883


class TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True)
class Access:
    """What a client shows to the broker, and by what it knows the broker."""

    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None

    def equip(self, client: Client) -> None:
        """Give a client, before it connects, what it needs to get in."""
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        if self.tls is not None:
            client.tls_set_context(self.tls)


@dataclass(frozen=True)
class AccessOptions:
    """What a person says on the command line. `ca`, `certificate` and `key` are PEM files and need TLS."""

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = None
    password: str | None = None
    """Reference: file:PATH, env:NAME or credential:NAME."""

    def load(self) -> Access:
        """Read the files and the password. Raises ConfigError, BrokerError, SecretError."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigError(
                "A client certificate and its key belong together.",
                next_step="give both --broker-cert and --broker-key, or neither",
            )
        if self.password is not None and self.username is None:
            raise ConfigError("A password needs a name.", next_step="add --username NAME")
        password = None if self.password is None else load_secret(self.password, Path.cwd()).decode(errors="replace")
        wanted = self.tls or self.ca is not None or self.certificate is not None
        return Access(self._context() if wanted else None, self.username, password)

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.sslsocket_class = TlsSocket
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            named = ", ".join(str(each) for each in (self.ca, self.certificate, self.key) if each is not None)
            raise BrokerError(
                f"The certificates for the broker do not load: {error}",
                value=named,
                next_step="check that these are PEM files, and that the key belongs to the certificate",
            ) from error
        return context
