# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why a message or certificate is refused: one type per reason, one root for all of them."""

from __future__ import annotations


class ConsumerError(Exception):
    """Root of everything that consumer refuses. Whatever bytes come in, nothing else is raised."""


class Malformed(ConsumerError, ValueError):
    """The bytes are not what the standard or the profile says they must be."""


class UnsupportedAlgorithm(ConsumerError, ValueError):
    """The signature algorithm is not on the list of allowed ones, or does not fit the key."""


class NotAuthentic(ConsumerError, ValueError):
    """The signature does not belong to these bytes and this certificate."""


class UntrustedCertificate(ConsumerError, ValueError):
    """The certificate was not issued by the city, is not for a gateway, or was not valid at that time."""


class UnknownGateway(ConsumerError, LookupError):
    """No certificate with the fingerprint that the message names has been added yet."""


class Forked(ConsumerError, ValueError):
    """Two different signed messages claim the same place in a gateway's stream."""


class LimitReached(ConsumerError, RuntimeError):
    """More gateways or streams than this verifier is allowed to remember."""


class LedgerError(ConsumerError, OSError):
    """The database of a durable consumer refuses: it cannot be opened, is full, or is not a ledger."""
