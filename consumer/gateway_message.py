# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of a gateway that stand alone, results and released readings: what is checked of each, in one order.

Size, form, critical headers, type; then the signature, by a certificate of the city's authority; and only then what it
says, whether it names the gateway that signed it, and whether the certificate was valid when it did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from consumer import cose
from consumer.certificates import TrustStore
from consumer.errors import Malformed, UnknownGateway, UntrustedCertificate

_MAX_S: Final = 253_402_300_799  # the last second of the year 9999


class Said(Protocol):
    """What every message says."""

    @property
    def gateway(self) -> str:
        """URN of the one that signed it."""

    @property
    def iat_s(self) -> int:
        """When it was signed, Unix time."""


Content = TypeVar("Content", bound=Said)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message."""

    name: str
    """As people call it: `result`."""
    type: str
    """The value of `typ`."""
    max_bytes: int
    understood: frozenset[int]
    """Header labels that may be critical."""
    content_type: int | None = None
    """CoAP content format; None: nobody asks."""


def read(message: bytes, trust: TrustStore, kind: Kind, content: Callable[[cose.Sign1], Content]) -> Content:
    """Check one message and return what *content* makes of it. Raises a ConsumerError for whatever is wrong with it."""
    if len(message) > kind.max_bytes:
        raise Malformed(f"a {kind.name} of {len(message)} bytes; at most {kind.max_bytes} are read")
    sign1 = cose.parse(message)
    cose.check_critical(sign1, kind.understood)
    if sign1.protected.get(cose.TYP) != kind.type or kind.content_type not in (
        None,
        sign1.protected.get(cose.CONTENT_TYPE),
    ):
        raise Malformed(f"type {str(sign1.protected.get(cose.TYP))[:60]!r}; {kind.type} is expected")
    certificate = trust.find(cose.fingerprint(sign1))
    if certificate is None:
        raise UnknownGateway(f"no gateway certificate with the fingerprint of this {kind.name} is known")
    cose.check_signature(sign1, certificate.public_key)
    found = content(sign1)
    if found.gateway != certificate.gateway:
        raise UntrustedCertificate(f"the certificate is for {certificate.gateway}, not for {found.gateway}")
    if not 0 <= found.iat_s <= _MAX_S:
        raise Malformed(f"a {kind.name} signed at {found.iat_s}, which is no time of this calendar")
    certificate.check_valid_at(found.iat_s)
    return found
