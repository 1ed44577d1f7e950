# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which readings the next frame carries, and when to ask for a receipt. No I/O: moments come in as milliseconds.

New readings go out once, in order. Every *receipt_every* readings one frame asks for a receipt; the answer says what is
missing, and only that is sent again. Without an answer the question is repeated, ever less often, each time together
with readings: in turn the oldest unreceipted ones and the newest unsent ones, so that neither kind starves the other.
When more wait than fit a frame side by side they go as a batch, but never with a repeated question, and no more when
receipts again and again lack what was in one: a gateway may not know batches.
"""

from firmware.node.lazy import borrowed
from firmware.wire import cbor, readings

_BITMAP_SEQS = 8 * readings.MAX_BITMAP_BYTES  # a receipt can speak about so many above its contiguous end
_ASKS_IN_FLIGHT = 4  # so many times receipt_every may be on their way before new ones wait
_NOT_HEARD = 3  # receipts in a row that lack what went in a batch
_BACKOFF_MAX_MS = 15 * 60 * 1000


class Delivery:
    """*queue* is a ReadingQueue; *encode(record)* gives a reading's bytes as of now; *jitter(ms)* gives 0 to ms.

    ``unanswered`` counts the requests in a row that got no receipt.
    """

    def __init__(self, queue, encode, receipt_every: int, timeout_ms: int, idle_ms: int, jitter) -> None:
        self._queue = queue
        self._encode = encode
        self._receipt_every = receipt_every
        self._timeout_ms = timeout_ms
        self._idle_ms = idle_ms
        self._jitter = jitter
        self._cursor = queue.oldest  # the first number that was not sent in this life
        self._gap_from = 0  # held numbers in [_gap_from, _gap_to) are missing at the gateway
        self._gap_to = 0
        self._gap_turn = False
        self._since_ask = 0
        self._asked_to = 0  # the cursor when the last request left
        self._deadline = None  # type: int | None  # until when the receipt should be here
        self._retry_at = 0
        self._last_sent = None  # type: int | None
        self._ask_now = True  # the first frame of a life: tell the gateway what is held, hear what it has
        self._batched = 0  # the first number of a batch since the last receipt
        self._not_heard = 0
        self.unanswered = 0

    def next_frame(self, now_ms: int, max_payload: int) -> bytes | None:
        """Return the payload to send on the readings port now, or None. Counts it as sent."""
        self._expire(now_ms)
        if self.unanswered:
            due = self._deadline is None and now_ms >= self._retry_at
            return self._retry(now_ms, max_payload) if due else None
        items, asks = self._gather(max_payload)
        if not items and not asks and not self._idle(now_ms):
            return None
        asks = self._deadline is None and (asks or not items or self._since_ask + len(items) >= self._receipt_every)
        return self._payload(items, asks, now_ms)

    def on_receipt(self, contiguous: int, above: list[int]) -> None:
        """Take over what the gateway holds: free it, and send again at once what is missing below the last request."""
        if self._batched:
            heard = self._batched <= contiguous or self._batched in above
            self._not_heard = 0 if heard else self._not_heard + 1
            self._batched = 0
        self._queue.release(contiguous, above)
        if self._deadline is not None or self.unanswered:
            self._gap_from = 0
            self._gap_to = min(self._asked_to, contiguous + 1 + _BITMAP_SEQS)
        self._deadline = None
        self.unanswered = 0

    def renumbered(self) -> None:
        """The queue's readings have new numbers: none of them was ever sent."""
        self._cursor = self._queue.oldest
        self._gap_to = self._asked_to = 0
        self._deadline = None
        self._ask_now = True
        self.unanswered = 0

    def skip(self, seqs: list[int]) -> None:
        """These readings are on their way in another frame; a receipt will say if they got lost."""
        for seq in seqs:
            if seq == self._cursor:
                self._cursor += 1

    def restart(self, now_ms: int) -> None:
        """A new session, or somebody is there again: ask at once."""
        self._deadline = None
        self._retry_at = now_ms
        self._ask_now = True
        self._not_heard = 0

    def wait_ms(self, now_ms: int) -> int:
        """Return after how many milliseconds ``next_frame`` may have something, if nothing else happens before."""
        if self.unanswered:
            return max(0, (self._retry_at if self._deadline is None else self._deadline) - now_ms)
        if self._deadline is not None:
            return 0 if self._sendable() else max(0, self._deadline - now_ms)
        if self._sendable():
            return 0
        return self._idle_ms if self._last_sent is None else max(0, self._last_sent + self._idle_ms - now_ms)

    def _expire(self, now_ms: int) -> None:
        if self._deadline is not None and now_ms >= self._deadline:
            self._deadline = None
            self.unanswered += 1
            backoff = min(_BACKOFF_MAX_MS, self._timeout_ms << min(self.unanswered - 1, 16))
            self._retry_at = now_ms + self._jitter(backoff)

    def _idle(self, now_ms: int) -> bool:
        waiting = self._deadline is None and self._queue.oldest < self._cursor
        return waiting and (self._last_sent is None or now_ms - self._last_sent >= self._idle_ms)

    def _gap(self) -> int:
        """Return the first missing number, or _gap_to when nothing is missing any more."""
        return self._queue.first_held(self._gap_from, self._gap_to) if self._gap_from < self._gap_to else self._gap_to

    def _new_end(self, limit: int) -> int:
        """Return up to where new readings may go: a receipt must be able to speak about all that are on their way."""
        return min(self._queue.next_seq, self._queue.oldest + limit)

    def _sendable(self) -> bool:
        limit = min(_BITMAP_SEQS, _ASKS_IN_FLIGHT * self._receipt_every)
        return self._gap() < self._gap_to or self._first_new(limit) is not None

    def _first_new(self, limit: int) -> int | None:
        end = self._new_end(limit)
        seq = self._queue.first_held(self._cursor, end) if self._cursor < end else end
        return seq if seq < end else None

    def _gather(self, max_payload: int) -> tuple[list[bytes], bool]:
        """Return the encoded readings of the next frame, and whether more than their count asks for a receipt."""
        limit = min(_BITMAP_SEQS, _ASKS_IN_FLIGHT * self._receipt_every)
        gap = self._gap() < self._gap_to
        new = self._first_new(limit) is not None
        asks = self._ask_now and (gap or new)
        if gap and (self._gap_turn or not new):
            self._gap_turn = False
            items, self._gap_from = self._take(self._gap_from, self._gap_to, max_payload)
            return items, asks or self._gap() >= self._gap_to  # all holes are filled: have it confirmed
        items = self._take_new(limit, max_payload)
        self._gap_turn = self._gap_turn or bool(items)
        return items, asks

    def _retry(self, now_ms: int, max_payload: int) -> bytes:
        """Return a request with readings: in turn the oldest, and new ones as far as a receipt can speak of them."""
        items = []  # type: list[bytes]
        if not self._gap_turn:
            items = self._take_new(_BITMAP_SEQS, max_payload, False)
        if not items:
            items = self._take(0, self._cursor, max_payload, False)[0]
        self._gap_turn = not self._gap_turn
        return self._payload(items, True, now_ms)

    def _take_new(self, limit: int, max_payload: int, batched: bool = True) -> list[bytes]:
        end = self._new_end(limit)
        if self._cursor >= end:
            return []
        items, self._cursor = self._take(self._cursor, end, max_payload, batched)
        return items

    def _take(self, start: int, end: int, max_payload: int, batched: bool = True) -> tuple[list[bytes], int]:
        """Return what fits of [start, end), encoded, and the number that follows the last one taken."""
        items = []
        rest = room = max_payload - len(cbor.dumps(self._queue.oldest))
        for record in self._queue.read(start, end):
            item = self._encode(record)
            if len(item) > rest and items:
                found = self._batch(start, end, room, len(items)) if batched else None
                return (items, record.seq) if found is None else found
            items.append(item)
            rest -= len(item)
        return items, end

    def _batch(self, start: int, end: int, room: int, more_than: int) -> tuple[list[bytes], int] | None:
        if self._not_heard >= _NOT_HEARD:
            return None
        try:
            with borrowed("batching") as batching:
                found = batching.batch(self._queue.read(start, end), self._encode, room, more_than)
        except MemoryError:
            return None
        if found is None:
            return None
        data, count, rest = found
        self._batched = self._batched or self._queue.first_held(start, end)
        return [data] + [b""] * (count - 1), rest or end

    def _payload(self, items: list[bytes], asks: bool, now_ms: int) -> bytes:
        self._last_sent = now_ms
        self._since_ask += len(items)
        if not asks:
            return readings.pack(items)
        self._ask_now = False
        self._since_ask = 0
        self._asked_to = self._cursor
        self._deadline = now_ms + self._timeout_ms
        return readings.pack(items, self._queue.oldest)
