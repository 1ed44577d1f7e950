# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The bench's jobs over a console: a release is carried through lost answers, and a broken part is not enrolled."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from firmware.wire.errors import Malformed
from firmware.wire.readings import FPORT_UPDATE
from provisioning.bench.enrolment import Bench
from provisioning.bench.errors import ProofFailed
from provisioning.bluetooth import jobs
from provisioning.bluetooth.console import Talk
from provisioning.entries import Device
from provisioning.errors import BluetoothError

ASK = b"ask"
SIZE = 40


class Board:
    """Takes ten bytes a message, and says how many it has; *lost*: numbers of answers that do not arrive."""

    def __init__(self, lost: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.have = b""
        self.asked = 0
        self.answers = 0
        self.lost = lost

    async def exchange(self, port: int, messages: list[bytes], within_s: float) -> bytes | None:
        assert port == FPORT_UPDATE and within_s > 0
        for message in messages:
            if message == ASK:
                self.asked += 1
            else:
                self.have += message
        self.answers += 1
        return None if self.answers in self.lost else bytes([len(self.have)])


class Sending:
    """Ten bytes a message, two at a time."""

    problem = ""
    total = SIZE
    have = 0
    state = "running"

    def next(self, payload: bytes, room: int) -> list[bytes]:
        assert room > 100
        if not payload:
            raise Malformed("nothing")
        self.have = payload[0]
        if self.have == SIZE:
            self.state = "done"
            return []
        return [bytes(10)] * 2


def carry(board: Any, said: list[tuple[int, int]] | None = None) -> str:
    heard = [] if said is None else said
    talk = cast(Talk, board)
    return asyncio.run(jobs.send(talk, Sending(), ASK, lambda have, total: heard.append((have, total))))


def test_a_release_arrives_through_lost_answers() -> None:
    board, said = Board({1, 3}), []  # type: tuple[Board, list[tuple[int, int]]]
    assert carry(board, said) == "done"
    assert len(board.have) == SIZE  # what was asked again was not sent twice
    assert board.asked == 3
    assert said[-1] == (SIZE, SIZE)


def test_a_board_that_knows_no_updates_or_babbles_is_said_so() -> None:
    board = Board(set(range(100)))
    with pytest.raises(BluetoothError, match="does not say how far"):
        carry(board)
    assert not board.have

    async def empty(*_: object) -> bytes:
        return b""

    with pytest.raises(BluetoothError, match="malformed"):
        carry(SimpleNamespace(exchange=empty))


def test_what_is_broken_is_not_enrolled() -> None:
    device = Device(bytes(8), bytes(8), "street_light", "lamp", None, "registered", datetime.now(UTC))
    bench = cast(Bench, SimpleNamespace(city=SimpleNamespace(config=SimpleNamespace(city=SimpleNamespace(name="T")))))

    async def now() -> dict[str, Any]:
        return {}

    async def command(name: str, _arguments: object) -> dict[str, str]:
        assert name == "self_test"
        return {"lamp": "broken", "clock": "works", "door": "broken"}

    talk = cast(Talk, SimpleNamespace(now=now, command=command))
    with pytest.raises(ProofFailed, match="broken") as caught:
        asyncio.run(jobs.enroll(talk, bench, device, frozenset({"door"}), lambda *_: None))
    assert caught.value.value == "lamp"
