# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why a datagram, or one packet in it, goes no further. ``reason`` is the name that counters and logs use."""

from __future__ import annotations

from gateway.errors import Refused


class MalformedDatagram(Refused):
    """Not a datagram that a packet forwarder sends to a server."""

    reason = "malformed_datagram"


class WrongLength(MalformedDatagram):
    """Shorter than its kind, longer than its kind, or longer than any datagram taken here."""

    reason = "wrong_length"


class UnknownVersion(MalformedDatagram):
    """Byte 0 is not 2."""

    reason = "unknown_version"


class UnknownIdentifier(MalformedDatagram):
    """Byte 3 is not PUSH_DATA, PULL_DATA or TX_ACK."""

    reason = "unknown_identifier"


class NotStrictJson(MalformedDatagram):
    """Not JSON, or JSON that two readers could understand differently, or built to cost its reader."""

    reason = "not_strict_json"


class WrongContent(MalformedDatagram):
    """JSON, but not the objects that this kind of datagram carries."""

    reason = "wrong_content"


class PacketRefused(Refused):
    """One radio packet of a PUSH_DATA is not used; the others still are."""

    reason = "packet_refused"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        """Short name for the counter: crc_failed, unsupported_modulation, rxpk_freq, ..."""
