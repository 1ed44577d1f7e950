# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What outputs of readings have in common: released readings in batches, tries that come again, poison set aside.

An output is a ``Partner``; everything that can go wrong on the way to it is handled here, once. What is not taken
stays in the outbox, so memory holds one batch, whatever happens to the other side.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gateway.errors import NotTaken, OutputRefused, PlatformError, StoreUnavailable, TryLater
from gateway.operate.logs import EventLog, Seldom
from gateway.platforms._aside import Aside
from gateway.platforms._backoff import BackOff
from gateway.releases.opening import Unopened, open_envelope
from gateway.releases.release import release
from provisioning.outputs import Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.outbox.feed import Feed
    from gateway.outbox.stream import Row
    from gateway.platforms import Context, Directory
    from gateway.releases.opening import Item
    from gateway.releases.release import Released
    from gateway.releases.settings import ReleaseSettings

_FIRST_RETRY_S = 0.5
_LOOK_S = 1.0
_REFUSED_AGAIN_S = 60.0
"""A register is corrected by people."""
_OURS = (ValueError, TypeError, LookupError, ArithmeticError)
"""What a reading that nobody foresaw makes of our own code: it is set aside like one that the other side refuses."""
_PATIENCE_MAX_S = 300.0
"""Of a Retry-After: whoever asks for a week is asked again before."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A reading that the other side will never take."""

    reading: Released
    why: str


class Partner(Protocol):
    """The other side of an output. All methods raise PlatformError and its kinds."""

    async def open(self) -> None:
        """Connect, and see that the other side is there and lets us in."""

    async def close(self) -> None:
        """Let go. Also after an error."""

    async def deliver(self, readings: Sequence[Released]) -> Sequence[Rejected]:
        """Hand over all of them, in order; return those that will never be taken.

        An error means that none counts as taken: they come again. NotTaken: they come again in smaller batches.
        """

    async def noted(self) -> None:
        """The outbox has on disk that everything until now was taken: none of it comes again."""

    async def between(self) -> None:
        """Between two batches, and once a second where there is none."""


class Delivery:
    """The platform around a partner."""

    def __init__(
        self,
        name: str,
        partner: Partner,
        rules: ReleaseSettings,
        context: Context,
        *,
        batch: int,
        retry_max_s: float,
        linger_s: float = 0.05,
    ) -> None:
        """*batch*: readings at a time; *linger_s*: how long the first envelope of a batch waits for company."""
        self.name = name
        self.longest_pause_s = max(retry_max_s, _LOOK_S)
        self._partner = partner
        self._rules = rules
        self._context = context
        self._batch = batch
        self._linger_s = linger_s
        self._back_off = BackOff(_FIRST_RETRY_S, retry_max_s, context.random)
        self._aside = Aside(context.state_dir, name)
        self._log = EventLog("platforms.output")
        self._seldom = Seldom()
        self._reader: asyncio.Task[Row] | None = None
        self._rows: list[Row] = []
        self._connected = False
        self._refused = ""
        self._absent = ""

    @property
    def in_flight(self) -> int | None:
        """Envelopes read and not yet taken; None while there is no connection."""
        return len(self._rows) if self._connected else None

    def status(self) -> dict[str, Any]:
        """Return what the status page shows beside the counters."""
        return {
            "audience": self._rules.audience,
            "refused": self._refused,
            "absent": self._absent,
            "set_aside": self._aside.count,
        }

    async def run(self, feed: Feed) -> None:
        """Deliver until cancelled."""
        while True:
            self._context.beat()
            try:
                await self._ask_leave(feed)
                await self._serve(feed)
            except (PlatformError, StoreUnavailable) as error:
                await self._pause(self._failed(error))

    async def _ask_leave(self, feed: Feed) -> None:
        rules = self._rules
        wanted = Wanted(self.name, rules.audience, rules.platform_id, rules.dataset, tuple(rules.kinds))
        refusals = await self._directory.refusals(wanted)
        self._refused = " ".join(str(each) for each in refusals)
        await feed.refused(bool(refusals))
        if refusals:
            raise OutputRefused(self._refused)

    async def _serve(self, feed: Feed) -> None:
        try:
            await self._partner.open()
            await feed.restart()
            self._connected = True
            self._count("connected")
            self._log.info("output_connected", platform=self.name, audience=self._rules.audience)
            while True:
                self._context.beat()
                self._rows = await self._gather(feed)
                if self._rows:
                    await self._take(feed)
                await feed.flush()
                await self._partner.noted()
                await self._partner.between()
        finally:
            self._connected, self._rows = False, []
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
            await self._partner.close()

    async def _gather(self, feed: Feed) -> list[Row]:
        """Return some envelopes; none when none came for a while. A read is never cancelled half-way."""
        rows: list[Row] = []
        readings, wait_s = 0, _LOOK_S
        while readings < self._batch:
            if self._reader is None:
                self._reader = asyncio.ensure_future(feed.next())
            done, _ = await asyncio.wait([self._reader], timeout=wait_s)
            if not done:
                break
            row, self._reader = self._reader.result(), None
            rows.append(row)
            readings += max(1, row.readings)
            wait_s = self._linger_s
        return rows

    async def _take(self, feed: Feed) -> None:
        items: list[Item] = []
        for row in self._rows:
            try:
                items += (found := open_envelope(row.message))
            except Unopened as error:  # a bug of ours: the signed platforms have it still
                self._count("unopened")
                self._log.error("envelope_unopened", platform=self.name, why=error)
            else:
                if not found:
                    self._pass_by()
        released = await self._release(items)
        for start in range(0, len(released), self._batch):
            await self._hand_over(released[start : start + self._batch])
        for row in self._rows:
            feed.taken(row)
        self._rows = []
        self._back_off.reset()

    def _pass_by(self) -> None:
        """A signed notice of what is missing is no reading, and only who has all records can use it (decision 15)."""
        self._count("notices_passed_by")
        if self._seldom.allow("notice") is not None:
            effect = "its readers are not told that records are missing; who has the signed envelopes is"
            self._log.warning("notice_passed_by", platform=self.name, effect=effect)

    async def _release(self, items: Sequence[Item]) -> list[Released]:
        facts = await self._directory.facts({item.dev_eui for item in items})
        released = []
        for item in items:
            outcome = release(item, facts[item.dev_eui], self._rules)
            for reason, count in (outcome.dropped or {}).items():
                self._count(f"fields_dropped_{reason}", count)
            if outcome.released is None:
                self._count(f"readings_withheld_{outcome.withheld}")
                if self._seldom.allow(outcome.withheld) is not None:
                    self._log.info("reading_withheld", platform=self.name, dev_eui=item.dev_eui, why=outcome.withheld)
            else:
                released.append(outcome.released)
        return released

    async def _hand_over(self, readings: Sequence[Released]) -> None:
        """Deliver; halve what is not taken whole until what cannot be taken stands alone."""
        self._context.beat()
        try:
            rejected: Sequence[Rejected] = await self._partner.deliver(readings)
        except (NotTaken, *_OURS) as error:
            if len(readings) > 1:
                middle = len(readings) // 2
                await self._hand_over(readings[:middle])
                await self._hand_over(readings[middle:])
                return
            rejected = [Rejected(readings[0], str(error) if isinstance(error, NotTaken) else repr(error))]
        for each in rejected:
            await self._set_aside(each)
        self._count("delivered", len(readings) - len(rejected))

    async def _set_aside(self, rejected: Rejected) -> None:
        reading = rejected.reading
        self._count("set_aside")
        where = {"platform": self.name, "device": reading.device, "stream": reading.stream, "record": reading.record}
        if self._seldom.allow("aside") is not None:
            self._log.error("reading_set_aside", why=rejected.why, kept_in=self._aside.path, **where)
        try:
            await asyncio.to_thread(self._aside.put, reading, rejected.why)
        except OSError as error:
            self._log.warning("not_set_aside", why=error, **where)

    @property
    def _directory(self) -> Directory:
        if self._context.directory is None:
            raise PlatformError("there is no register to ask")
        return self._context.directory

    def _failed(self, error: Exception) -> float:
        """Count, log, and return how long to wait."""
        pause_s = self._back_off.pause_s()
        if isinstance(error, OutputRefused):
            pause_s = _REFUSED_AGAIN_S
            self._count("output_refused")
            self._log.error("output_refused", platform=self.name, why=error, effect="nothing goes out here; it waits")
            return pause_s
        self._absent = str(error)
        if isinstance(error, TryLater):
            pause_s = max(pause_s, min(error.after_s, _PATIENCE_MAX_S))
        self._count("connection_failed")
        held_back = self._seldom.allow("absent")
        if held_back is not None:
            retry = {"retry_in_s": round(pause_s, 1), "not_logged": held_back}
            self._log.warning("output_absent", platform=self.name, why=error, **retry)
        return pause_s

    async def _pause(self, pause_s: float) -> None:
        while pause_s > 0:
            self._context.beat()
            await asyncio.sleep(min(pause_s, _LOOK_S))
            pause_s -= _LOOK_S

    def _count(self, what: str, by: int = 1) -> None:
        self._context.counters.add("platforms", f"{self.name}_{what}", by)
