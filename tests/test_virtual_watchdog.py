# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The virtual watchdog counts what the board had of a processor: a busy computer is no fault of the firmware."""

import os
from collections.abc import Callable

import pytest

from boards.virtual import protocol, watchdog


class Bench:
    """A watchdog whose timer and processor are the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited_s: dict[int, float] = {os.getpid(): 5.0, 1: 7.0, 2: 0.5}
        self.program: int | None = 1
        self.timers: list[tuple[str, float]] = []
        self.bites = 0
        monkeypatch.setattr(watchdog, "_waited_s", self.waited_s.__getitem__)
        self.dog = watchdog.Watchdog(self._after, lambda: self.program, self._bite)

    def _after(self, name: str, delay_s: float, what: Callable[[], object]) -> None:
        self.timers.append((name, delay_s))
        self.due = what

    def _bite(self) -> None:
        self.bites += 1


def test_what_the_computer_took_from_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.dog.feed(8000)
    bench.waited_s[1] += 3
    bench.waited_s[os.getpid()] += 0.5  # the simulated chip answers late
    bench.due()
    assert (bench.timers, bench.bites) == ([("watchdog", 8.0), ("watchdog", 3.5)], 0)
    bench.due()
    assert bench.bites == 1


def test_a_feed_forgets_what_was_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.dog.feed(8000)
    bench.waited_s[1] += 3
    bench.dog.feed(None)
    bench.due()
    assert bench.bites == 1


def test_another_program_starts_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.dog.feed(8000)
    bench.program = 2  # after a soft reset, which does not stop the watchdog
    bench.due()
    assert bench.bites == 1


def test_it_is_started_once_and_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    with pytest.raises(protocol.Misuse, match="not running"):
        bench.dog.feed(None)
    bench.dog.feed(8000)
    with pytest.raises(protocol.Misuse, match="cannot be changed to 9000 ms"):
        bench.dog.feed(9000)


def test_this_computer_counts_how_long_a_process_waits() -> None:
    assert watchdog._waited_s(os.getpid()) > 0
    assert watchdog._waited_s(2**22 + 1) == 0  # there is no such process
