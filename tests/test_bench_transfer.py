# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The bytes of a file on their way into a board: by each way the board holds what was sent, and few are sent."""

import base64
import hashlib
import random
from collections.abc import Iterator

import pytest

from provisioning.bench import transfer
from provisioning.bench.board import Board
from provisioning.bench.package import Purpose, package_for
from provisioning.bench.rehearsal import virtual_boards
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from provisioning.bench.transfer import Way

WAYS = [Way(literal, deflated) for literal in (False, True) for deflated in (False, True)]


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with virtual_boards(1, seed=41) as boards:
        yield boards[0].port


@pytest.mark.parametrize("way", WAYS)
def test_a_board_holds_what_was_sent_by_each_way(port: str, way: Way) -> None:
    rng = random.Random(7)
    samples = [b"", bytes(range(256)) * 4, b"'\\\r\n\r\x00" * 50, b"\xc3\x28\xff1" * 9, b"x" * 2048]
    samples += [rng.randbytes(rng.randrange(2048)) for _ in range(10)]

    def digests(board: Board, _repl: RawRepl) -> list[str]:
        board.names("/")  # the helpers are there
        found = []
        for data in samples:
            code = b"_lw('/sent',%s,'wb')\nprint(_lh('/sent'))" % way.expression(data)
            found.append(board._run(code).strip().decode())
        return found

    assert Session(port).do(digests) == [hashlib.sha256(data).hexdigest() for data in samples]


@pytest.mark.parametrize("pastes", [True, False])
def test_a_board_is_asked_what_it_understands(port: str, pastes: bool) -> None:
    def asked(board: Board, repl: RawRepl) -> Way:
        repl.pastes = pastes  # without raw-paste mode another reader takes it, for which other bytes mean a thing
        board.names("/")
        return board._way

    assert Session(port).do(asked) == Way(literal=True, deflated=True)


@pytest.mark.parametrize("answer", [b"", b"1", b"Traceback", b"0 0", b"1 0 1"])
def test_who_answers_something_else_gets_what_all_understand(answer: bytes) -> None:
    assert transfer.understood(answer) == transfer.PLAIN
    assert transfer.PLAIN.expression(b"\xff\x00") == b"'/wA='"


def test_a_node_takes_two_thirds_of_the_bytes_that_base64_takes() -> None:
    files = package_for("virtual", Purpose("street_light", frozenset({"serial"}))).content.values()
    sent = sum(len(Way(literal=True, deflated=True).expression(data)) for data in files)
    assert sent < 0.67 * sum(len(base64.b64encode(data)) for data in files)
