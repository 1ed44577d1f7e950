# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Properties of frames in pieces and of the advertised hint: nothing false comes through, and memory is bounded."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.wire import gatt, segment
from firmware.wire.errors import Malformed
from firmware.wire.segment import READY, Reassembler, Segmenter
from gateway.network.aes import ecb

frames = st.lists(st.binary(min_size=1, max_size=segment.MAX_FRAME), max_size=8)
sizes = st.integers(2, gatt.MTU - gatt.ATT_HEADER)
keys = st.binary(min_size=16, max_size=16)


def _cut(segmenter: Segmenter, data: list[bytes], size: int) -> list[bytes]:
    return [piece for each in data for piece in segmenter.split(each, size)]


@given(frames, sizes, st.integers(0, 63))
def test_every_frame_comes_back_in_order(data: list[bytes], size: int, already: int) -> None:
    segmenter, reassembler = Segmenter(), Reassembler()
    _cut(segmenter, [READY] * already, size)  # the numbers may stand anywhere when a gateway begins to listen
    pieces = _cut(segmenter, data, size)
    assert all(len(piece) <= size for piece in pieces)
    assert [got for piece in pieces if (got := reassembler.feed(piece)) is not None] == data
    assert (reassembler.lost, reassembler.oversized, reassembler.malformed) == (0, 0, 0)
    assert not reassembler.growing()


@given(frames, sizes, st.data())
def test_a_lost_piece_costs_its_frame_only_and_is_noticed(data: list[bytes], size: int, draw: st.DataObject) -> None:
    segmenter, reassembler = Segmenter(), Reassembler()
    cut = [list(segmenter.split(each, size)) for each in [b"first", *data, b"last"]]
    victim = draw.draw(st.integers(1, len(cut) - 2)) if data else None
    if victim is not None:
        cut[victim].pop(draw.draw(st.integers(0, len(cut[victim]) - 1)))
    got = [found for each in cut for piece in each if (found := reassembler.feed(piece)) is not None]
    expected = [b"first", *data, b"last"]
    if victim is not None:
        del expected[victim]
    assert got == expected
    # One break in the numbers; a frame that lost its end is given up where the next one begins.
    assert reassembler.lost == (victim is not None)


@given(st.lists(st.binary(max_size=300), max_size=60), st.integers(1, 255))
def test_any_bytes_are_bounded(pieces: list[bytes], max_frame: int) -> None:
    reassembler = Reassembler(max_frame)
    for piece in pieces:
        got = reassembler.feed(piece)
        assert got is None or len(got) <= max_frame


@given(frames, st.integers(2, 40), st.integers(0, 2**32))
def test_swapped_and_repeated_pieces_never_make_a_frame_that_was_not_sent(
    data: list[bytes], size: int, seed: int
) -> None:
    rng = random.Random(seed)
    pieces = _cut(Segmenter(), data, size)
    for _ in range(min(3, len(pieces))):
        at = rng.randrange(len(pieces))
        if rng.random() < 0.5:
            pieces.insert(at, pieces[at])
        elif at:
            pieces[at - 1], pieces[at] = pieces[at], pieces[at - 1]
    reassembler = Reassembler()
    # Fewer than 64 pieces apart, no number stands for two of them.
    heard = [got for piece in pieces if (got := reassembler.feed(piece)) is not None]
    assert [got for got in heard if got not in data] == []


def test_a_frame_without_end_holds_no_more_than_one_frame() -> None:
    reassembler = Reassembler()
    reassembler.feed(bytes([segment.FIRST]) + bytes(200))
    for number in range(1, 1000):
        assert reassembler.feed(bytes([number & 63]) + bytes(200)) is None
        assert not reassembler.growing()
    assert reassembler.oversized == 1


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 255"):
        list(Segmenter().split(bytes(256), 20))
    with pytest.raises(ValueError, match="hold no piece"):
        list(Segmenter().split(b"x", 1))


@given(keys, st.integers(0, 0xFFFF), st.integers(0, 15))
def test_a_hint_is_known_to_its_key_and_short_enough(key: bytes, counter: int, flags: int) -> None:
    own = ecb(gatt.hint_key(ecb(key)))
    data = gatt.hint(own, counter, flags)
    assert gatt.is_from(own, data)
    assert gatt.flags_of(data) == flags
    assert len(gatt.advertisement(data)) == 31
    for at in range(len(data)):  # no byte of it can be changed
        changed = bytearray(data)
        changed[at] ^= 1
        assert not gatt.is_from(own, bytes(changed))


@given(st.binary(max_size=12))
def test_any_advertised_bytes_are_read_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        assert 0 <= gatt.flags_of(data) < 16
        assert len(data) == 6


def test_hints_of_one_device_cannot_be_linked_by_their_bytes(rng: random.Random) -> None:
    own = ecb(gatt.hint_key(ecb(rng.randbytes(16))))
    tags = {gatt.hint(own, counter)[3:] for counter in range(2000)}
    assert len(tags) > 1990  # 24 bits: hardly ever the same
