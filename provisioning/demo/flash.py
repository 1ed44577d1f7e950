# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board that was switched off still holds: its reading queue, read from the flash image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boards.errors import BoardsError
from boards.virtual.image import list_files, read_file
from firmware.node import segments, slots
from provisioning.errors import BoardError

QUEUE: Final = "data/queue/"
STATE: Final = "data/queue_state."


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
        contents = [read_file(image, name, board) for name in names if name.startswith(QUEUE)]
        states = [read_file(image, name, board) for name in names if name.startswith(STATE)]
    except (BoardsError, OSError) as error:
        raise BoardError(f"The image of the board cannot be read: {error}", value=image) from error
    return FlashQueue(
        seqs=frozenset(seq for content in contents for seq in sequence_numbers(content)), receipted=_receipted(states)
    )


def sequence_numbers(segment: bytes) -> list[int]:
    """The numbers of the whole records in a segment; a torn one at the end is none."""
    return [record.seq for record, _ in segments.records(lambda offset: segment[offset:])]


def _receipted(states: list[bytes]) -> int:
    records = [record for record in map(slots.unpack, states) if record is not None]
    newest = max(records, default=None)
    return 0 if newest is None else segments.unpack_state(newest[1])[0]
