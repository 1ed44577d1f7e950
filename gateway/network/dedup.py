# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One frame heard by several gateways is one frame: copies gather for a moment, the best reception goes first.

What a device sends again (NbTrans, unanswered confirmed frames) comes after its RX2, so at least two seconds later
(TS001-1.0.4 section 3.3): that is a new arrival here, and the session tells it from a replay.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.clock import Clock
    from gateway.links import Uplink

COOLDOWN_S = 1.5
"""A copy that comes this long after the first took a slow way here; the device has not sent it again."""
MAX_GATHERING = 1024
MAX_COPIES = 32
_MAX_REMEMBERED = 8192


class Verdict(Enum):
    """What became of one reception."""

    FIRST = "first"
    COPY = "copy"
    LATE = "late"


@dataclass(slots=True)
class _Gathering:
    began_s: float
    copies: list[Uplink]


class Deduplicator:
    """Pure: moments are given, nothing waits. Frames are told apart by all of their bytes."""

    def __init__(self, window_s: float, cooldown_s: float = COOLDOWN_S) -> None:
        self._window_s = window_s
        self._cooldown_s = max(cooldown_s, window_s)
        self._gathering: OrderedDict[bytes, _Gathering] = OrderedDict()
        self._done: set[bytes] = set()
        self._leaving: deque[tuple[float, Sequence[bytes]]] = deque()
        """Those, and until when they are remembered, the oldest first."""

    @property
    def due_s(self) -> float | None:
        """When the next frame has waited long enough; None when none waits."""
        first = next(iter(self._gathering.values()), None)
        return None if first is None else first.began_s + self._window_s

    def add(self, uplink: Uplink, now_s: float) -> Verdict:
        """Take one reception of a frame. *now_s* never goes back."""
        self._forget(now_s)
        return self._add(uplink, now_s)

    def add_all(self, uplinks: Sequence[Uplink], now_s: float) -> dict[Verdict, int]:
        """Take receptions of one moment; return how many were not the first of their frame, by what they were."""
        self._forget(now_s)
        gathering, done = self._gathering, self._done
        odd: dict[Verdict, int] = {}
        for uplink in uplinks:
            phy = uplink.phy
            if phy in gathering or phy in done:
                verdict = self._add(uplink, now_s)
                odd[verdict] = odd.get(verdict, 0) + 1
            else:
                gathering[phy] = _Gathering(now_s, [uplink])
        return odd

    def _add(self, uplink: Uplink, now_s: float) -> Verdict:
        group = self._gathering.get(uplink.phy)
        if group is not None:
            if len(group.copies) < MAX_COPIES:
                group.copies.append(uplink)
            return Verdict.COPY
        if uplink.phy in self._done:
            return Verdict.LATE
        self._gathering[uplink.phy] = _Gathering(now_s, [uplink])
        return Verdict.FIRST

    def take(self, now_s: float, *, everything: bool = False) -> list[Uplink]:
        """Return the frames that have waited long enough, the oldest first; more when too many wait."""
        taken: list[Uplink] = []
        gathering, cooldown_s = self._gathering, self._cooldown_s
        window_s = float("-inf") if everything else self._window_s
        spare = len(gathering) - MAX_GATHERING
        for phy, group in gathering.items():
            if now_s < group.began_s + window_s and len(taken) >= spare:
                break
            self._remember([phy], group.began_s + cooldown_s)
            taken.append(group.copies[0] if _alone(group) else _merge(group))
        for _ in taken:
            gathering.popitem(last=False)
        return taken

    def at_once(self, uplinks: Sequence[Uplink], now_s: float) -> bool:
        """As ``add_all`` and ``take``, where nothing is to wait and each is the first of its frame; else do nothing.

        A set tells it of all of them together: 2 us of a frame become 0.3.
        """
        if self._window_s > 0 or self._gathering:
            return False
        self._forget(now_s)
        frames = [uplink.phy for uplink in uplinks]
        new = set(frames)
        if len(new) < len(frames) or not self._done.isdisjoint(new):
            return False
        self._remember(frames, now_s + self._cooldown_s)
        return True

    def _remember(self, frames: Sequence[bytes], until_s: float) -> None:
        self._done.update(frames)
        self._leaving.append((until_s, frames))

    def _forget(self, now_s: float) -> None:
        leaving, done = self._leaving, self._done
        while leaving and (now_s >= leaving[0][0] or len(done) > _MAX_REMEMBERED):
            done.difference_update(leaving.popleft()[1])


def _alone(group: _Gathering) -> bool:
    return len(group.copies) == 1 and group.copies[0].heard_at_s == group.began_s


def _merge(group: _Gathering) -> Uplink:
    """Return the best reception with the others behind it, one per gateway.

    All carry the time of the first to arrive: it is the nearest to the end of the frame.
    """
    received_at = min(copy.received_at for copy in group.copies)
    stamped = [replace(copy, received_at=received_at, heard_at_s=group.began_s) for copy in group.copies]
    stamped.sort(key=_quality, reverse=True)
    of_gateway: dict[tuple[str, str], Uplink] = {}
    for copy in stamped:
        of_gateway.setdefault((copy.link, copy.address), copy)
    best, *others = of_gateway.values()
    return replace(best, others=tuple(others))


def _quality(uplink: Uplink) -> tuple[float, float]:
    return (uplink.radio.snr_db, uplink.radio.rssi_dbm) if uplink.radio else (0.0, 0.0)


class Window:
    """Lets radio frames gather on the event loop, then hands them on."""

    def __init__(self, dedup: Deduplicator, release: Callable[[list[Uplink]], None], clock: Clock) -> None:
        self._dedup = dedup
        self._release = release
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def reconfigure(self, dedup: Deduplicator) -> None:
        """Go on with another deduplicator, once what waits in the old one has left."""
        self.flush()
        self._dedup = dedup

    def put(self, uplink: Uplink) -> Verdict:
        """Take one reception; its ``heard_at_s`` is now."""
        verdict = self._dedup.add(uplink, uplink.heard_at_s or self._clock.monotonic_s())
        if self._timer is None and verdict is Verdict.FIRST:
            self._arm()
        return verdict

    def put_all(self, uplinks: Sequence[Uplink]) -> dict[Verdict, int]:
        """As ``put``, of several of one moment; return what became of those that were not the first of their frame."""
        now_s = uplinks[0].heard_at_s
        if self._timer is None and self._dedup.at_once(uplinks, now_s):
            self._release(list(uplinks))
            return {}
        odd = self._dedup.add_all(uplinks, now_s)
        if self._timer is None:
            due_s = self._dedup.due_s
            if due_s is not None and due_s <= now_s:  # nothing is to wait: a timer would cost a turn of the event loop
                self._hand_on(everything=False)
            self._arm()
        return odd

    def flush(self) -> None:
        """Hand on what waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._hand_on(everything=True)

    def _arm(self) -> None:
        due_s = self._dedup.due_s
        if due_s is not None:
            wait_s = max(0.0, due_s - self._clock.monotonic_s())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._hand_on(everything=False)
        self._arm()

    def _hand_on(self, *, everything: bool) -> None:
        if taken := self._dedup.take(self._clock.monotonic_s(), everything=everything):
            self._release(taken)
