# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Results, signed with the key that the gateway signs readings with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cbor2

from consumer import results
from gateway.records import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.clock import Clock
    from gateway.identity import Identity


class ResultSigner:
    """Signs with the identity that the gateway has just now. Every method raises CannotSign."""

    def __init__(self, identity: Callable[[], Identity], clock: Clock) -> None:
        self._identity = identity
        self._clock = clock

    def whole(
        self, commander: str, command_id: bytes, digest: bytes, state: str, why: str, left_out: Mapping[str, str]
    ) -> bytes:
        """Return the result for a command; *digest* is the SHA-256 of the message that is answered."""
        content: dict[int, Any] = {results.STATE: state, results.MESSAGE: digest}
        if why:
            content[results.WHY] = why
        if left_out:
            content[results.LEFT_OUT] = dict(left_out)
        return self._seal(commander, command_id, content)

    def device(
        self, commander: str, command_id: bytes, dev_eui: bytes, state: str, why: str, answer: Mapping[str, Any]
    ) -> bytes:
        """Return the result for one device."""
        content: dict[int, Any] = {results.DEVICE: dev_eui, results.STATE: state}
        if why:
            content[results.WHY] = why
        if answer:
            content[results.ANSWER] = dict(answer)
        return self._seal(commander, command_id, content)

    def _seal(self, commander: str, command_id: bytes, content: dict[int, Any]) -> bytes:
        identity = self._identity()
        signer, issued_at_s = identity.signer, identity.signing_time_s(self._clock.wall_s())
        headers = results.headers(signer.issuer, commander, command_id, issued_at_s)
        return envelope.seal_other(headers, cbor2.dumps(content, canonical=True), signer)
