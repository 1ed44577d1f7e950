# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Records that survive a power cut at any moment: two slots, written in turn, the newest valid one counts.

*files* is anything with the methods of ``files.Files``; tests hand in one that loses power.
"""

from firmware.node import slots
from firmware.wire import cbor

_MAX_ITEMS = 256  # the identity has the largest record: pins and buses of a board
_MAX_DEPTH = 6  # identity, board, radio, spi and its numbers, and one more


class Slots:
    """The pair ``<name>.a`` / ``<name>.b``. Read once at the start, then written.

    ``damaged``: one slot is no valid record, or is gone: torn by a power cut, or rotten. Nobody can tell which.
    ``fresh``: neither slot exists; this record was never written.
    ``first_only``: only the slot of the very first write exists.
    """

    def __init__(self, files, name: str) -> None:
        self._files = files
        self._names = (name + ".a", name + ".b")
        raws = [self._raw(slot) for slot in self._names]
        records = [slots.unpack(raw) if raw else None for raw in raws]
        self.fresh = raws[0] is None and raws[1] is None
        self.first_only = raws[0] is not None and raws[1] is None
        self.damaged = not self.fresh and None in records
        self._generation = 0
        self._next = 0
        self.payload = None  # type: bytes | None  # the newest valid one
        for i, record in enumerate(records):
            if record is not None and record[0] >= self._generation:
                self._generation, self.payload = record
                self._next = 1 - i

    def write(self, payload: bytes) -> None:
        """Make *payload* the newest, in the slot that does not hold the newest now. Durable when it returns.

        The first write fills both slots: from then on a slot that is missing is a slot that was lost.
        """
        if self.fresh:
            self._put(payload)
            self.fresh = False
        self._put(payload)
        self.payload = payload

    def clear(self) -> None:
        """Forget the record on purpose; an older one must not come back."""
        self.write(b"")

    def _put(self, payload: bytes) -> None:
        self._files.write(self._names[self._next], slots.pack(self._generation + 1, payload))
        self._generation += 1
        self._next = 1 - self._next

    def _raw(self, name: str) -> bytes | None:
        try:
            return self._files.read(name)
        except OSError:
            return b""  # there, but unreadable: the same as damaged


def decode(payload: bytes):  # no type: whoever wrote the record knows its form
    """Return the CBOR value of a record of this board. Raises Malformed."""
    return cbor.loads(payload, max_depth=_MAX_DEPTH, max_items=_MAX_ITEMS)
