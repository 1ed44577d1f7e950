# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A socket of packet forwarders without the system: what came is given, and what was to be answered is kept."""

from gateway.links.lora.bulk import Datagram
from gateway.links.lora.segments import split


class FakeDatagrams:
    """See ``gateway.links.lora.bulk.Datagrams``."""

    def __init__(self, came: list[Datagram], dropped: int = 0) -> None:
        self.came, self.dropped = came, dropped
        self.answers: list[tuple[int, bytes]] = []

    @classmethod
    def of(cls, *data: bytes, sender: tuple[str, int] = ("127.0.0.1", 9), dropped: int = 0) -> "FakeDatagrams":
        """All from one sender."""
        return cls([Datagram(each, False, sender, slot) for slot, each in enumerate(data)], dropped)

    def receive(self) -> list[Datagram]:
        """Return what is given, each time."""
        return self.came

    def answer(self, answers: list[tuple[int, bytes]]) -> int:
        """Keep them."""
        self.answers += answers
        return 0

    def answer_all(self, answers: bytes) -> int:
        """Keep each."""
        return self.answer(list(enumerate(split(answers))))
