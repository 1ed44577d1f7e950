# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The readings on flash: each is there before it counts as made, and stays until the gateway has receipted it.

Segment files ``<folder>/<first seq as 8 hex digits>`` hold COBS-framed records, each with its CRC: a torn or rotten
record costs itself, never its neighbours. The newest segment always stays, so that the last number is known after a
boot; one that is empty proves that its first number was never given. A sequence number that may ever have left the
board is not given to another reading: behind a damaged tail counting goes on at a limit that was reserved ahead.
"""

from firmware.node import segments
from firmware.node.counters import ReservedCounter
from firmware.node.store import Slots

FIRST_SEQ = 1  # so that a receipt can say "nothing yet" as 0

_SEGMENT_BYTES = 4096  # one littlefs block
_READ_BYTES = 256
_SEQ = "seq"  # the counter's record
_SEQ_BLOCK = 64
_ENOSPC = 28  # not in the errno module of every port


class ReadingQueue:
    """Bounded by *limit_bytes*: beyond it the oldest segment goes first, and its readings are counted in ``dropped``.

    ``damaged`` counts records that flash did not give back. *files* is ``files.Files`` or alike.
    """

    def __init__(self, files, folder: str, limit_bytes: int, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self._files = files
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = min(segment_bytes, limit_bytes // 4)
        self._state = Slots(files, folder + "_state")
        self.base = 0  # everything up to here is receipted, dropped or never was
        self.dropped = 0
        self.damaged = 0
        if self._state.payload is not None and len(self._state.payload) == 8:
            self.base, self.dropped = segments.unpack_state(self._state.payload)
        self._gone = set()  # type: set[int]  # above base: receipted, or not to be read any more
        self._segments = []  # type: list[list[int]]  # [first, last, bytes], oldest first
        self._clean = True  # the newest segment may be appended to
        self._load()

    @property
    def next_seq(self) -> int:
        """The number that the next reading will get."""
        return self._counter.value

    @property
    def oldest(self) -> int:
        """The lowest number that is held and not receipted; ``next_seq`` when there is none."""
        return self.first_held(0, self.next_seq)

    def first_held(self, start: int, end: int) -> int:
        """Return the lowest number in [start, end) that is held and not receipted, or *end*."""
        start = max(start, self.base + 1)
        for first, last, _ in self._segments:
            seq = max(first, start)
            while seq in self._gone:
                seq += 1
            if seq <= last:
                return min(seq, end)
        return end

    def held(self) -> int:
        """Return how many readings wait for their receipt."""
        count = -len(self._gone)
        for first, last, _ in self._segments:
            count += max(0, last - max(first, self.base + 1) + 1)
        return count

    def append(self, boot: int, time_kind: int, t: int, body: bytes) -> int:
        """Keep a reading and return its number. When it returns, the reading survives a power cut. Raises OSError."""
        data = segments.pack(self.next_seq, boot, time_kind, t, body)  # first: it may find no memory
        seq = self._counter.take()
        while len(self._segments) > 1 and self._bytes() + len(data) > self._limit_bytes:
            self._drop_oldest()
        try:
            self._put(seq, data)
        except OSError as error:
            self._clean = False  # nobody knows how much of it is there
            if error.args[0] != _ENOSPC or len(self._segments) < 2:
                raise
            self._drop_oldest()
            self._put(seq, data)
        return seq

    def read(self, start: int, end: int):
        """Yield the held, unreceipted records in [start, end) in order. Damaged ones are counted and left out."""
        start = max(start, self.base + 1)
        for first, last, _ in list(self._segments):
            if last < start or first >= end:
                continue
            expected = max(first, start)
            for record, _ in self._records("%08x" % first):
                if record.seq >= end:
                    expected = end
                    break
                if record.seq < expected:
                    continue
                self._lost(expected, record.seq)
                expected = record.seq + 1
                if record.seq not in self._gone:
                    yield record
            self._lost(expected, min(last + 1, end))

    def release(self, contiguous: int, above: list[int]) -> None:
        """Free what the gateway holds: everything up to *contiguous*, and the numbers *above* it."""
        base = max(self.base, min(contiguous, self.next_seq - 1))
        for seq in above:
            if base < seq < self.next_seq:
                self._gone.add(seq)
        self._advance(base)

    def renumber(self, above: int) -> None:
        """Give all held readings new numbers beyond *above*, since the gateway has other readings under theirs.

        That happens when a board was wiped and flashed again under the identity that it had.
        """
        end = self.next_seq
        self._counter.jump(above + 1)
        self._clean = False
        for record in self.read(0, end):
            self.append(record.boot, record.time_kind, record.t, record.body)
        self._advance(max(self.base, above))

    def _load(self) -> None:
        good_tail = True
        for name in self._files.names(self._folder):
            last, size, good_tail = self._scan(name)
            self._segments.append([int(name, 16), last, size])
        if not self._segments and Slots(self._files, _SEQ).fresh:
            self._files.append(name_in(self._folder, "%08x" % FIRST_SEQ), b"")
            self._segments.append([FIRST_SEQ, FIRST_SEQ - 1, 0])
        self._counter = ReservedCounter(self._files, _SEQ, _SEQ_BLOCK, FIRST_SEQ)
        self._clean = bool(self._segments) and good_tail
        if self._clean and self._segments[-1][1] >= self.base:  # else a tail that was damaged once reads well again
            self._counter.resume(self._segments[-1][1] + 1)
        self._advance(self.base)

    def _scan(self, name: str) -> tuple[int, int, bool]:
        """Return (last number, bytes, whether the file ends in a whole record). Without records, last < first."""
        expected = int(name, 16)
        try:
            size = self._files.size(name_in(self._folder, name))
        except OSError:
            return expected - 1, 0, False
        end = 0
        for record, place in self._records(name):
            self._lost(expected, record.seq)
            expected = record.seq + 1
            end = place
        return expected - 1, size, end == size

    def _records(self, name: str):
        path = name_in(self._folder, name)

        def read(offset: int) -> bytes:
            try:
                return self._files.read_at(path, offset, _READ_BYTES)
            except OSError:  # a block that flash does not give back: its readings are lost, other segments are not
                return b""

        return segments.records(read)

    def _put(self, seq: int, data: bytes) -> None:
        segment = self._segments[-1] if self._segments and self._clean else None
        if segment is None or segment[2] + len(data) > self._segment_bytes:
            self._files.append(name_in(self._folder, "%08x" % seq), data)
            self._segments.append([seq, seq, len(data)])
            self._clean = True
            self._prune()
            return
        self._files.append(name_in(self._folder, "%08x" % segment[0]), data)
        segment[1] = seq
        segment[2] += len(data)

    def _drop_oldest(self) -> None:
        last = self._segments[0][1]
        seq = self.first_held(0, last + 1)
        while seq <= last:
            self.dropped += 1
            seq = self.first_held(seq + 1, last + 1)
        self._advance(max(self.base, last), True)

    def _lost(self, start: int, end: int) -> None:
        for seq in range(max(start, self.base + 1), end):
            if seq not in self._gone:
                self._gone.add(seq)
                self.damaged += 1

    def _advance(self, base: int, write: bool = False) -> None:
        """Move the base up to the last number before the oldest held one, on flash first; then delete what is free."""
        write = write or base != self.base
        self.base = base
        self._gone = {seq for seq in self._gone if seq > base}
        free = self.oldest - 1
        if free > base:
            write = True
            self.base = free
            self._gone = {seq for seq in self._gone if seq > free}
        if write:
            self._state.write(segments.pack_state(self.base, self.dropped))
        self._prune()

    def _prune(self) -> None:
        while len(self._segments) > 1 and self._segments[0][1] <= self.base:
            self._files.remove(name_in(self._folder, "%08x" % self._segments[0][0]))
            self._segments.pop(0)

    def _bytes(self) -> int:
        return sum(segment[2] for segment in self._segments)


def name_in(folder: str, name: str) -> str:
    """Return the name of a file in a folder, as ``files`` wants it."""
    return folder + "/" + name
