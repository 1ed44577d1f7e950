# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a platform reads the outbox: what is new first, what an outage left behind in the bandwidth that is left.

What an outage left also gives way to platforms that come before this one, down to a trickle. Within a lane, envelopes
leave in the order in which they were stored. A restart goes on exactly where the last note on
disk says; what arrived after that note is published again, byte for byte, and a consumer sees that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from gateway.outbox.lanes import END, Lanes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.outbox.receipted import Held
    from gateway.outbox.store import Outbox, Row

_Result = TypeVar("_Result")
Call = Callable[[Callable[["Outbox"], _Result]], Awaitable[_Result]]
"""Runs something with the outbox in the thread that owns it."""

_READ_AHEAD = 200
_MAX_OFFERED = 1024
"""Rows that wait in memory; beyond it they are read from the disk when their turn comes."""
_MAX_LIVE_LAG = 2000
"""When the live lane is that many rows behind, what it holds is late, and live starts anew with what comes next."""

TRICKLE_S = 1.0
"""So often an envelope of the catch-up lane goes that has to give way: whoever comes first may be slow for days."""
_LOOK_S = 0.1
_LASTING_EVERY_S = 1.0


@dataclass(slots=True)
class _Span:
    """How far one span of ids has been handed out, and what of it is on its way."""

    sent: int
    on_way: deque[tuple[int, int]] = field(default_factory=deque)
    """(id, readings), in order."""
    read: deque[Row] = field(default_factory=deque)
    """Read from the disk and not handed out yet."""
    exhausted: bool = False


class Feed:
    """One platform's place in the outbox. Used from the event loop only."""

    def __init__(
        self,
        platform: str,
        call: Call,  # type: ignore[type-arg]
        gives_way: Callable[[], bool] = lambda: False,
    ) -> None:
        """*gives_way*: whether the catch-up lane has to leave the line to somebody else just now."""
        self._platform = platform
        self._call = call
        self._gives_way = gives_way
        self._late_again_s = 0.0
        self._news = asyncio.Event()
        self._lanes = Lanes()
        self._spans: dict[int, _Span] = {}
        """By the upper end of the span."""
        self._arrived: set[int] = set()
        """Taken by the platform, while something before it is still on its way."""
        self._started = False
        self._unread = True
        """The disk may hold more of the live lane than was read."""
        self._readings = 0
        self._noted = False
        """There is something to note."""
        self._lasting_s = float("-inf")
        """When what was taken was put on disk last."""
        self._passing = False
        """Whether the last note may be lost in a power cut."""
        self._note: asyncio.Future[OSError | None] | None = None
        """On its way to the disk."""
        self._refused: bool | None = None
        self._lacked: set[int] = set()
        """What the platform did not hold when we looked last."""
        self.idle = False
        """Everything was handed out."""

    @property
    def late(self) -> bool:
        """Whether the catch-up lane still holds something."""
        return bool(self._lanes.behind())

    def offer(self, rows: Sequence[Row]) -> None:
        """These were stored just now: when the live lane has everything before them it need not read them again."""
        live = self._spans.get(END)
        if live is None or not rows:
            return
        seen = live.read[-1].row if live.read else live.sent
        if rows[0].row == seen + 1 and len(live.read) + len(rows) <= _MAX_OFFERED:
            live.read.extend(rows)
        else:
            self._unread = True
        self.idle = False
        self._news.set()

    def wake(self) -> None:
        """There may be new envelopes on the disk."""
        self._unread = True
        self.idle = False
        self._news.set()

    async def restart(self) -> None:
        """A new connection: nothing is on its way; what is stored already is late, what comes from now on is live."""
        if not self._started:
            self._lanes = await self._call(lambda outbox: outbox.lanes(self._platform))
            self._started = True
        last = await self._call(lambda outbox: outbox.last())  # a note of before may fail meanwhile
        self._noted |= self._lanes.cut(last)
        self._spans = {upto: _Span(after) for after, upto in self._lanes.spans()}
        self._arrived = {row for row in self._arrived if self._lanes.waits(row)}
        await self._keep_apart()
        self.wake()

    async def next(self) -> Row:
        """Return the next envelope to publish; wait until there is one."""
        while True:
            self._news.clear()
            row = await self._next_live()
            if row is None and self._yields():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _LOOK_S)
                continue
            row = row or await self._next_late()
            if row is None:
                self.idle = not self._news.is_set()
                await self._news.wait()
            elif row.row in self._arrived:  # on an earlier connection
                self._advance(row.row)
            else:
                return row

    def _yields(self) -> bool:
        """Tell whether the catch-up lane has to wait; now and then one envelope of it goes all the same."""
        if not self.late or not self._gives_way():
            return False
        now_s = asyncio.get_running_loop().time()
        if now_s < self._late_again_s:
            return True
        self._late_again_s = now_s + TRICKLE_S
        return False

    def taken(self, row: Row) -> None:
        """The platform has an envelope. In any order."""
        if self._lanes.waits(row.row):
            self._arrived.add(row.row)
            self._advance(row.row)

    async def refused(self, refused: bool) -> None:
        """Whether the platform may not have anything now; it is asked before each connection."""
        if refused != self._refused:
            await self._call(lambda outbox: outbox.refuse(self._platform, refused))
            self._refused = refused

    async def receipted(self, held: Held) -> None:
        """The platform signed for what it holds. Raises WrongReceipt."""
        await self._call(lambda outbox: outbox.take_receipt(self._platform, held))

    async def send_again(self) -> int:
        """Put back into the catch-up lane what the platform lacked now and at the last call; return how much."""
        live_after = self._lanes.live_after
        found = await self._call(lambda outbox: outbox.lacking(self._platform, live_after))
        lacked = {row for row in found if not self._lanes.waits(row)}
        again, self._lacked = sorted(lacked & self._lacked), lacked
        count = 0
        for after, upto in _runs(again):
            if self._lanes.reopen(after, upto):
                self._spans[upto] = _Span(after)
                count += upto - after
        if count:
            await self._keep_apart()
            self._noted = True
            self.wake()
        return count

    async def gone(self) -> int:
        """Return how many records the platform lacks, by its receipts, that nobody can send again."""
        count: int = await self._call(lambda outbox: outbox.gone(self._platform))
        return count

    async def flush(self, *, lasting: bool = True) -> None:
        """Put what was taken on disk. Losing this note costs a repeated publication, never a reading.

        Not *lasting*: the note outlives the process; a power cut may take back those of the last second, so that
        readings do not wait for the disk because of it.
        """
        if self._note is not None:  # begun by somebody who was cancelled
            await asyncio.shield(self._note)
        now_s = asyncio.get_running_loop().time()
        lasting = lasting or now_s - self._lasting_s >= _LASTING_EVERY_S
        if not (self._noted or (lasting and self._passing)):
            return
        if lasting:
            self._lasting_s = now_s
        # Whoever asks may be cancelled, when a connection breaks; the note goes on, and what became of it is known.
        self._note = asyncio.ensure_future(self._write_note(lasting=lasting))
        error = await asyncio.shield(self._note)
        if error is not None:
            raise error

    async def _write_note(self, *, lasting: bool) -> OSError | None:
        readings, spans = self._readings, Lanes([list(span) for span in self._lanes.spans()])
        self._readings, self._noted = 0, False
        try:
            if lasting:
                await self._call(lambda outbox: outbox.published(self._platform, spans, readings))
            else:
                await self._call(lambda outbox: outbox.published_soon(self._platform, spans, readings))
            self._passing = not lasting
        except OSError as error:
            self._readings += readings
            self._noted = True
            return error
        finally:
            self._note = None
        return None

    async def _next_live(self) -> Row | None:
        live = self._spans[END]
        if not live.read and self._unread:
            self._unread = False
            await self._read(live, END)
            if len(live.read) >= _READ_AHEAD:
                self._unread = True
                await self._cut_if_far_behind(live)
                live = self._spans[END]
        return _hand_out(live)

    async def _next_late(self) -> Row | None:
        for _, upto in self._lanes.behind():
            span = self._spans[upto]
            if not span.read and not span.exhausted:
                await self._read(span, upto)
                span.exhausted = not span.read
            if span.read:
                return _hand_out(span)
            self._finish(upto, span)
        return None

    async def _read(self, span: _Span, upto: int) -> None:
        after = span.sent
        rows = await self._call(lambda outbox: outbox.read(after, _READ_AHEAD, upto))
        if span.sent == after and not span.read:  # nothing was offered meanwhile
            span.read.extend(rows)

    async def _cut_if_far_behind(self, live: _Span) -> None:
        last = await self._call(lambda outbox: outbox.last())
        if last - live.sent <= _MAX_LIVE_LAG or not self._lanes.cut(last):
            return
        live.read = deque(row for row in live.read if row.row <= last)
        self._spans[last] = live
        self._spans[END] = _Span(last)
        self._noted = self._unread = True
        await self._keep_apart()

    async def _keep_apart(self) -> None:
        edges = self._lanes.edges()
        await self._call(lambda outbox: outbox.keep_apart(self._platform, edges))

    def _advance(self, row: int) -> None:
        upto = self._lanes.span_of(row)
        if upto is None:
            return
        span = self._spans[upto]
        while span.on_way and span.on_way[0][0] in self._arrived:
            done, readings = span.on_way.popleft()
            self._arrived.discard(done)
            self._lanes.taken(done)
            self._readings += readings
            self._noted = True
        if upto != END:
            self._finish(upto, span)

    def _finish(self, upto: int, span: _Span) -> None:
        if span.exhausted and not span.on_way:
            self._lanes.finished(upto)
            self._noted = True


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Return the spans ``(after, upto]`` of neighbouring ids."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row - 1, row))
    return runs


def _hand_out(span: _Span) -> Row | None:
    if not span.read:
        return None
    row = span.read.popleft()
    span.sent = row.row
    span.on_way.append((row.row, row.readings))
    return row
