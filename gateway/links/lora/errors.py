# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why a datagram, or one packet in it, goes no further, in the form that all refusals have."""

from __future__ import annotations

from gateway.errors import Refused


class MalformedDatagram(Refused):
    """Not a datagram that a packet forwarder sends to a server."""


class WrongLength(MalformedDatagram):
    """Shorter than its kind, longer than its kind, or longer than any datagram taken here."""


class UnknownVersion(MalformedDatagram):
    """Byte 0 is not 2."""


class UnknownIdentifier(MalformedDatagram):
    """Byte 3 is not PUSH_DATA, PULL_DATA or TX_ACK."""


class NotStrictJson(MalformedDatagram):
    """Not JSON, or JSON that two readers could understand differently, or built to cost its reader."""


class WrongContent(MalformedDatagram):
    """JSON, but not the objects that this kind of datagram carries."""


class PacketRefused(Refused):
    """One radio packet of a PUSH_DATA is not used; the others still are."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        """Short name for the counter: crc_failed, unsupported_modulation, rxpk_freq, ..."""
