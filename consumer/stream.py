# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One gateway's stream: which records came, whether the envelopes chain, and who tells two stories.

Envelopes may come in any order and more than once: after an outage a gateway sends what is new and what is late side by
side. The last `window` envelopes that came are remembered exactly.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Final

from consumer.errors import Forked
from consumer.intervals import IntervalSet

WINDOW: Final = 1024
MAX_HOLES: Final = 1024


@dataclass(frozen=True, slots=True)
class Link:
    """The place of an envelope: its records, the SHA-256 of the one before, and its own."""

    first: int
    last: int
    previous: bytes
    digest: bytes


class StreamChain:
    """What was seen of one stream. `place` either accepts an envelope or leaves everything as it was."""

    def __init__(self, *, from_start: bool = False, window: int = WINDOW) -> None:
        self.records = IntervalSet(MAX_HOLES, 1 if from_start else None)
        self.told = IntervalSet(MAX_HOLES, 1 if from_start else None)  # records, and what the gateway said is lost
        self.lost = 0  # said to be lost, and did not come either
        self.first = 0  # the lowest record accepted, 0 while there is none
        self.accepted = 0
        self.envelopes = 0
        self.redelivered = 0
        self.late = 0  # came after an envelope with higher numbers
        self.undecided = 0  # came again so late that its bytes could no longer be compared
        self.forks = 0
        self._window = window
        self._firsts: list[int] = []
        self._by_first: dict[int, Link] = {}
        self._by_last: dict[int, Link] = {}
        self._tails: dict[int, bytes] = {}  # of losses: the last record, and the SHA-256 of its envelope

    def place(self, link: Link) -> bool:
        """Give the envelope its place; True when it has been there before. Raises Forked."""
        known = self._by_first.get(link.first)
        if known is not None and known.digest == link.digest:
            self.redelivered += 1
            return True
        try:
            self._refuse_other_story(link)
        except Forked:
            self.forks += 1
            raise
        if self._forgotten(link):
            self.undecided += 1
            return True
        self._accept(link)
        return False

    def place_loss(self, notice: Link) -> bool:
        """Give the notice of a loss its place; `digest` is that of the last lost envelope. True when it is not news.

        What came all the same stays. Raises Forked.
        """
        before, after, same = (
            self._by_last.get(notice.first - 1),
            self._by_first.get(notice.last + 1),
            self._by_last.get(notice.last),
        )
        if (
            (before is not None and notice.previous and before.digest != notice.previous)
            or (after is not None and after.previous != notice.digest)
            or (same is not None and same.digest != notice.digest)
        ):
            self.forks += 1
            raise Forked(
                f"the notice that records {notice.first} to {notice.last} are lost does not fit its neighbours"
            )
        news = notice.last - notice.first + 1 - self.told.count(notice.first, notice.last)
        if not news:
            self.redelivered += 1
            return True
        self.first = min(self.first, notice.first) if self.first else notice.first
        self.lost += news
        self.told.add(notice.first, notice.last)
        self._tails[notice.last] = notice.digest
        if len(self._tails) > self._window:
            del self._tails[next(iter(self._tails))]
        return False

    def _refuse_other_story(self, link: Link) -> None:
        index = bisect_left(self._firsts, link.first)
        for first in self._firsts[max(index - 1, 0) : index + 1]:
            other = self._by_first[first]
            if other.first <= link.last and link.first <= other.last:
                raise Forked(
                    f"records {link.first} to {link.last} came before with other content, "
                    f"as records {other.first} to {other.last}"
                )
        before = self._by_last.get(link.first - 1)
        expected = before.digest if before is not None else self._tails.get(link.first - 1)
        if expected is not None and expected != link.previous:
            raise Forked(f"records {link.first} to {link.last} do not follow the envelope that came before them")
        after = self._by_first.get(link.last + 1)
        if after is not None and after.previous != link.digest:
            raise Forked(f"records {link.first} to {link.last} are not what the envelope after them follows")

    def _forgotten(self, link: Link) -> bool:
        floor = self.records.floor
        return (floor is not None and link.first <= floor) or self.records.overlaps(link.first, link.last)

    def _accept(self, link: Link) -> None:
        if self.records and link.last < self.records.highest:
            self.late += 1
        self.first = min(self.first, link.first) if self.first else link.first
        self.lost -= self.told.count(link.first, link.last)
        self.told.add(link.first, link.last)
        self.accepted += link.last - link.first + 1
        self.envelopes += 1
        self.records.add(link.first, link.last)
        insort(self._firsts, link.first)
        self._by_first[link.first] = link
        self._by_last[link.last] = link
        if len(self._firsts) > self._window:
            oldest = self._by_first.pop(next(iter(self._by_first)))
            self._firsts.pop(bisect_left(self._firsts, oldest.first))
            del self._by_last[oldest.last]
