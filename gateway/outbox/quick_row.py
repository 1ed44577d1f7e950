# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The row of a device that lacks nothing and sent its next reading: made from its row before, with nothing between.

``devices`` makes a state of a row, adds to a copy of it, and makes a row of that again; what comes out is the same.
1.6 us become 0.5 (benchmarks/bench_steps.py says it for this machine), and nearly every frame is like that.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

from gateway.outbox.receipts import NO_GAPS

if TYPE_CHECKING:
    from gateway.outbox.devices import Arrival

Row = tuple[bytes, int, bytes, int, int, int, bytes, int, "int | None"]
"""``devices.COLUMNS``: the device, what is held, no gaps, readings, gone, unreadable, session, counter, checksum."""
_pack_numbers = struct.Struct("<5q").pack


def after(row: Row, arrival: Arrival) -> Row | None:
    """Return the row after a frame; None when the frame is not one reading, the next, in a session.

    *row* has no gaps.
    """
    payload, session = arrival.payload, arrival.session
    readings = payload.readings
    if len(readings) != 1 or not session or payload.unreadable:
        return None
    dev_eui, held, _, count, gone, unreadable, _, _, _ = row
    seq, oldest = readings[0].seq, payload.oldest
    if seq != held + 1 or (oldest is not None and oldest > seq):
        return None
    count += 1
    fcnt_up = arrival.fcnt_up
    crc = crc32(NO_GAPS, crc32(session, crc32(dev_eui, crc32(_pack_numbers(seq, count, gone, unreadable, fcnt_up)))))
    return dev_eui, seq, NO_GAPS, count, gone, unreadable, session, fcnt_up, crc
