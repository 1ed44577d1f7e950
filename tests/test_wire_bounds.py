# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What bytes from outside may cost: memory and work are bounded whatever they claim about themselves."""

import contextlib
import random
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from firmware.wire import cbor, cobs, cobs_stream, maccommands, readings
from firmware.wire.errors import WireError
from firmware.wire.frame import decode_data

LONGEST = 4096
PEAK_BYTES = 256 * 1024
LINES_PER_BYTE = 60  # interpreter lines, counted, so that no clock decides

HOSTILE = [
    b"\x9b" + b"\xff" * 8,  # an array of 2^64 - 1 items
    b"\xbb" + b"\xff" * 8,  # a map of as many
    b"\x5b" + b"\xff" * 8,  # a byte string of as many
    b"\x7b" + b"\xff" * 8,  # a text of as many
    b"\x81" * LONGEST,  # arrays in arrays
    b"\x9a\x00\x00\xff\xff" * 800,
    b"\x00" * LONGEST,
    b"\x01" * LONGEST,
    b"\xff" * LONGEST,
    b"\x40" + b"\x0d" * 250,
]


def _decoders() -> list[Callable[[bytes], object]]:
    return [
        cbor.loads,
        cbor.loads_sequence,
        readings.unpack_payload,
        readings.decode_receipt,
        cobs.decode,
        lambda data: cobs_stream.Deframer(255).feed(data),
        decode_data,
        lambda data: maccommands.parse(data, uplink=True),
        lambda data: maccommands.parse(data, uplink=False),
    ]


def _inputs(rng: random.Random) -> list[bytes]:
    return HOSTILE + [rng.randbytes(rng.randrange(LONGEST)) for _ in range(100)]


def test_memory_is_bounded(rng: random.Random) -> None:
    tracemalloc.start()
    try:
        for data in _inputs(rng):
            for decode in _decoders():
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                with contextlib.suppress(WireError):
                    decode(data)
                assert tracemalloc.get_traced_memory()[1] - before < PEAK_BYTES, data[:20].hex()
    finally:
        tracemalloc.stop()


def test_work_is_linear(rng: random.Random) -> None:
    lines = 0

    def count(_frame: object, _event: str, _argument: object) -> object:
        nonlocal lines
        lines += 1
        return count

    for data in _inputs(rng):
        for decode in _decoders():
            lines = 0
            sys.settrace(count)  # type: ignore[arg-type]
            try:
                decode(data)
            except WireError:
                pass
            finally:
                sys.settrace(None)
            assert lines < LINES_PER_BYTE * (len(data) + 20), (lines, data[:20].hex())


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_line_without_an_end_costs_one_buffer(size: int) -> None:
    deframer = cobs_stream.Deframer(64)
    for _ in range(100_000 // size):
        assert deframer.feed(b"\x01" * size) == []
        assert len(deframer.pending()) <= 65
    assert deframer.feed(b"\x00" + cobs.frame(b"still here")) == [b"still here"]
    assert deframer.dropped == 1
