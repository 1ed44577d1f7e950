# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board that was switched off still holds: its reading queue, read from the flash image.

The format is that of firmware/node/queue.py: segments of COBS-framed records, each seq, boot id, kind of time and
time, the reading, CRC-32; and a slot record with the number up to which everything is receipted.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boards.errors import BoardsError
from boards.virtual.image import list_files, read_file
from firmware.node import slots
from firmware.wire import cobs
from firmware.wire.errors import WireError
from provisioning.errors import BoardError

QUEUE: Final = "data/queue/"
STATE: Final = "data/queue_state."
_HEAD: Final = "<IIBI"
_CRC_BYTES: Final = 4


@dataclass(frozen=True)
class FlashQueue:
    """`seqs`: readings whose record is on flash; `receipted`: all up to this number are the gateway's."""

    seqs: frozenset[int]
    receipted: int

    @property
    def waiting(self) -> frozenset[int]:
        """Readings that the board had no receipt for yet."""
        return frozenset(seq for seq in self.seqs if seq > self.receipted)


def read_queue(image: Path, board: str = "virtual") -> FlashQueue:
    """Read the queue of a powered-off board. Raises BoardError."""
    try:
        names = [name.lstrip("/") for name in list_files(image, board)]
        segments = [read_file(image, name, board) for name in names if name.startswith(QUEUE)]
        states = [read_file(image, name, board) for name in names if name.startswith(STATE)]
    except (BoardsError, OSError) as error:
        raise BoardError(f"The image of the board cannot be read: {error}", value=image) from error
    return FlashQueue(
        seqs=frozenset(seq for segment in segments for seq in sequence_numbers(segment)), receipted=_receipted(states)
    )


def sequence_numbers(segment: bytes) -> list[int]:
    """The numbers of the whole records in a segment; a torn one at the end is none."""
    numbers = []
    *whole, _torn = segment.split(b"\0")
    for encoded in whole:
        try:
            record = cobs.decode(encoded) if encoded else b""
        except WireError:
            continue
        body, crc = record[:-_CRC_BYTES], record[-_CRC_BYTES:]
        if len(body) >= struct.calcsize(_HEAD) and crc == struct.pack("<I", binascii.crc32(body)):
            numbers.append(int(struct.unpack_from(_HEAD, body)[0]))
    return numbers


def _receipted(states: list[bytes]) -> int:
    records = [record for record in map(slots.unpack, states) if record is not None]
    newest = max(records, default=None)
    return 0 if newest is None else int(struct.unpack_from("<I", newest[1])[0])
