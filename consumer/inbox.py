# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Messages that come before the certificate of their gateway wait here, bounded in number and bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from consumer.errors import ConsumerError, UnknownGateway
from consumer.report import Verified
from consumer.verify import Verifier

MAX_HELD: Final = 1024
MAX_HELD_BYTES: Final = 16 << 20

Outcome = Verified | ConsumerError


class Inbox:
    """Takes messages and certificates in the order they come. `dropped` counts messages that no longer fitted."""

    def __init__(self, verifier: Verifier, *, max_held: int = MAX_HELD, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.verifier = verifier
        self.dropped = 0
        self._max_held = max_held
        self._max_held_bytes = max_held_bytes
        self._held: OrderedDict[bytes, None] = OrderedDict()  # the same message twice waits once
        self._held_bytes = 0

    @property
    def held(self) -> int:
        """How many messages wait for a certificate."""
        return len(self._held)

    def message(self, data: bytes) -> list[Outcome]:
        """Check a message: what came of it, or nothing while it waits for a certificate."""
        try:
            return [self.verifier.check(data)]
        except UnknownGateway:
            self._hold(data)
            return []
        except ConsumerError as error:
            return [error]

    def certificate(self, pem: bytes) -> list[Outcome]:
        """Add a certificate and check every message that waited for it."""
        try:
            self.verifier.add_certificate(pem)
        except ConsumerError as error:
            return [error]
        waiting, self._held, self._held_bytes = self._held, OrderedDict(), 0
        return [outcome for data in waiting for outcome in self.message(data)]

    def _hold(self, data: bytes) -> None:
        if data in self._held:
            return
        self._held[data] = None
        self._held_bytes += len(data)
        while len(self._held) > self._max_held or self._held_bytes > self._max_held_bytes:
            oldest, _ = self._held.popitem(last=False)
            self._held_bytes -= len(oldest)
            self.dropped += 1
