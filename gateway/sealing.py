# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings become the gateway's signed envelopes, and losses its signed notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.records import envelope, quick_envelope, senml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.clock import Clock
    from gateway.identity import Identity
    from gateway.records.envelope import Ended, Position
    from gateway.records.reading import Reading

_CWT_CLAIMS, _ISS, _IAT = 15, 1, 6


class EnvelopeSealer:
    """Signs with the identity that the gateway has just now, at the time of its clock. Raises CannotSign."""

    def __init__(self, identity: Callable[[], Identity], clock: Clock) -> None:
        self._identity = identity
        self._clock = clock

    def seal(self, readings: Sequence[Reading], position: Position) -> bytes:
        """Return one message of some readings."""
        return quick_envelope.seal(senml.encode(readings), position, self._issued_at_s(), self._identity().signer)

    def loss(self, position: Position, tail: bytes, why: str) -> bytes:
        """Return a notice that the records of *position* are lost; *tail* is the digest of the last envelope."""
        return envelope.seal_loss(position, tail, why, self._issued_at_s(), self._identity().signer)

    def ended(self, position: Position, ended: Ended) -> bytes:
        """Return a notice, the record of *position*, that another stream ended."""
        return envelope.seal_end(position, ended, self._issued_at_s(), self._identity().signer)

    def _issued_at_s(self) -> int:
        return self._identity().signing_time_s(self._clock.wall_s())


def seal_beside(identity: Identity, clock: Clock, headers: Mapping[int, object], payload: bytes) -> bytes:
    """Return a signed message that is no part of the stream; *headers* besides issuer and time. Raises CannotSign."""
    signer = identity.signer
    claims = {_ISS: signer.issuer, _IAT: identity.signing_time_s(clock.wall_s())}
    return envelope.seal_other({_CWT_CLAIMS: claims, **headers}, payload, signer)
