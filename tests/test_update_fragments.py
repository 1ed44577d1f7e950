# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN's fragmented transport (TS004): commands, parity matrix, blocks that arrive with losses and power cuts."""

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.node.defragmenter import MAX_MISSING, Defragmenter, TooManyLost, remove
from firmware.wire import fragments
from firmware.wire.errors import Malformed
from provisioning.updates.fragmenter import Fragmenter
from tests.test_node_app import run

VECTORS = json.loads((Path(__file__).parent / "vectors" / "update" / "fragments.json").read_text())


class PowerCut(Exception):
    pass


class Store:
    """Files in memory, each operation whole; the power goes before the *budget*-th."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.budget = 1 << 30

    def _spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise PowerCut

    def read(self, name: str) -> bytes | None:
        return bytes(self.files[name]) if name in self.files else None

    def read_at(self, name: str, offset: int, size: int) -> bytes:
        return bytes(self.files[name][offset : offset + size])

    def size(self, name: str) -> int:
        if name not in self.files:
            raise OSError(2)
        return len(self.files[name])

    def append(self, name: str, data: bytes) -> None:
        self._spend()
        self.files.setdefault(name, bytearray()).extend(data)

    def write(self, name: str, data: bytes) -> None:
        self._spend()
        self.files[name] = bytearray(data)

    def write_at(self, name: str, offset: int, data: bytes) -> None:
        self._spend()
        self.files[name][offset : offset + len(data)] = data

    def remove(self, name: str) -> None:
        self._spend()
        self.files.pop(name, None)


def matrix_line(number: int, count: int) -> str:
    """The specification's MATLAB text, read literally: doubles, lists from one, a draw for each coefficient."""

    def prbs23(x: float) -> float:
        b0, b1 = math.fmod(x, 2), math.fmod(math.floor(x / 32), 2)
        return math.floor(x / 2) + float(b0 != b1) * 2**22

    line = ["0"] * count
    m = 1 if math.log2(count) == math.floor(math.log2(count)) else 0
    x = float(1 + 1001 * number)
    coefficients = 0
    while coefficients < math.floor(count / 2):
        r = 2.0**16
        while r >= count:
            x = prbs23(x)
            r = math.fmod(x, count + m)
        line[int(r)] = "1"
        coefficients += 1
    return "".join(line)


def as_text(number: int, count: int) -> str:
    chosen = set(fragments.parity_line(number, count))
    return "".join("1" if at in chosen else "0" for at in range(count))


def test_the_matrix_is_that_of_other_implementations() -> None:
    for each in VECTORS["lines"]:
        assert as_text(each["number"], each["count"]) == each["line"]


@given(st.integers(1, 400), st.integers(1, 600))
def test_the_matrix_is_that_of_the_specification(number: int, count: int) -> None:
    assert as_text(number, count) == matrix_line(number, count)


def test_commands_have_the_bytes_of_another_implementation() -> None:
    down, up = VECTORS["down"], VECTORS["up"]
    assert fragments.version_req().hex() == down["version"]
    assert fragments.status_req(3).hex() == down["status"]
    assert fragments.decode_status_req(bytes.fromhex(down["status"])[1:]) == (3, True)
    assert fragments.delete_req(3).hex() == down["delete"]
    assert fragments.data(3, 513, bytes(range(1, 7))).hex() == down["data"]
    assert fragments.status_ans(3, 513, 255, True).hex() == up["status"]
    assert fragments.decode_status_ans(bytes.fromhex(up["status"])[1:]) == (3, 513, 255, True)
    assert fragments.setup_ans(3, 15).hex() == up["setup"]
    assert fragments.delete_ans(3, True).hex() == up["delete"]
    assert fragments.version_ans() == bytes([0, 3, 1])
    setup = bytes.fromhex(down["setup"])
    assert fragments.decode_setup(setup[1:]) == (3, 513, 255, 5, 129, b"\x01\x02\x03\x04")
    ours = fragments.setup_req(3, 513, 255, 129, b"\x01\x02\x03\x04", 5)
    assert ours[:5] + setup[5:6] + ours[6:] == setup, "but for the encoding and the delay, which are 0 here"
    both = bytes.fromhex(down["status"] + down["delete"] + down["data"])
    assert [cid for cid, _ in fragments.parse(both, up=False)] == [1, 3, 8]


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_commands_or_refused(payload: bytes, up: bool) -> None:
    try:
        found = list(fragments.parse(payload, up))
    except Malformed:
        return
    assert b"".join(bytes([cid]) + body for cid, body in found) == payload


def coming(block: bytes, size: int, rng: random.Random, loss: float) -> Iterator[tuple[int, bytes]]:
    """What arrives of ever more fragments."""
    sender = Fragmenter(block, size)
    for number in range(1, 40 * sender.count + 200):
        if rng.random() >= loss:
            yield number, sender.fragment(number)


@settings(max_examples=40, deadline=None)
@given(st.integers(61, 900), st.integers(8, 60), st.integers(0, 50), st.integers(0, 1 << 32))
def test_a_block_arrives_whatever_is_lost(length: int, size: int, loss_pct: int, seed: int) -> None:
    rng = random.Random(seed)
    block = rng.randbytes(length)  # of two fragments at least: of one, no coded fragment tells anything
    sender = Fragmenter(block, size)
    store = Store()
    decoder = Defragmenter(store, sender.count, size)
    for number, fragment in coming(block, size, rng, loss_pct / 100):
        try:
            if decoder.take(number, fragment):
                break
        except TooManyLost:
            assert sender.count > MAX_MISSING
            return
    assert decoder.complete
    assert decoder.read(0, len(block)) == block
    assert decoder.missing == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32))
def test_it_goes_on_after_power_cuts_at_any_operation(seed: int) -> None:
    rng = random.Random(seed)
    block, size = rng.randbytes(1200), 40
    store, cuts = Store(), 0
    arriving = coming(block, size, rng, 0.2)
    decoder = None
    while decoder is None or not decoder.complete:
        store.budget = rng.randrange(1, 25)
        try:
            decoder = Defragmenter(store, Fragmenter(block, size).count, size)
            while not decoder.take(*next(arriving)):
                pass
        except PowerCut:
            cuts += 1
            decoder = None
    assert cuts > 0
    assert decoder.read(0, len(block)) == block


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_who_sends_all_again_after_each_power_cut_is_understood(seed: int) -> None:
    """What was noted as missing may come: no row that is on flash may change its meaning by that."""
    rng = random.Random(seed)
    block, size = rng.randbytes(1200), 40
    store, whole = Store(), False
    while not whole:
        store.budget = rng.randrange(1, 60)
        try:
            decoder = Defragmenter(store, Fragmenter(block, size).count, size)
            whole = decoder.complete or any(decoder.take(*each) for each in coming(block, size, rng, 0.2))
        except PowerCut:
            continue
    assert decoder.read(0, len(block)) == block


@pytest.mark.parametrize("budget", range(1, 4))
def test_the_power_goes_while_a_session_is_removed(budget: int) -> None:
    rng = random.Random(1)
    block, store = rng.randbytes(1200), Store()
    decoder = Defragmenter(store, 30, 40)
    assert any(decoder.take(*each) for each in coming(block, 40, rng, 0.2))
    store.budget = budget - 1
    with pytest.raises(PowerCut):
        remove(store)
    store.budget = 1 << 30
    Defragmenter(store, 30, 40)
    remove(store)
    assert not store.files


def test_too_many_losses_are_told(rng: random.Random) -> None:
    sender = Fragmenter(rng.randbytes(4000), 20)
    decoder = Defragmenter(Store(), sender.count, 20)
    decoder.take(1, sender.fragment(1))
    with pytest.raises(TooManyLost):
        decoder.take(sender.count, sender.fragment(sender.count))
    assert decoder.missing == sender.count - 1
    for number in range(2, sender.count + 1):
        decoder.take(number, sender.fragment(number))
    assert decoder.read(0, 4000) == sender.block[:4000], "sent again from where it was, it arrives"


def test_a_board_puts_a_block_together_in_bounded_memory(micropython: Path, seed: int) -> None:
    run(micropython, "update_fragments.py", str(seed))
