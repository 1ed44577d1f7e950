# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The oracle's own consumer misses nothing: what comes while it checks a message is not skipped."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.torture.oracle import Arrived


@dataclass
class _Busy:
    """A platform to which another message comes each time one is being checked; and the consumer that checks."""

    messages: list[bytes] = field(default_factory=lambda: [b"\1"])

    def verifier(self) -> Any:
        return self

    def check(self, message: bytes) -> Any:
        if len(self.messages) < 20:
            self.messages.append(bytes((message[0] + 1,)))
        return SimpleNamespace(readings=[SimpleNamespace(dev_eui="a", seq=message[0], time=0, values={})])


def test_what_comes_while_a_message_is_checked_is_seen_at_the_next_look() -> None:
    busy: Any = _Busy()
    arrived = Arrived(busy, busy)
    assert set(arrived.look()) == {("a", 1)}
    for _ in range(20):
        arrived.look()
    assert set(arrived.look()) == {("a", number) for number in range(1, 21)}
