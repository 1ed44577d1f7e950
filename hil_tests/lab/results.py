# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What became of each test, and what was measured: kept while the tests run, written down when they are over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass
class Result:
    """One test."""

    test: str
    place: str
    outcome: str
    began_s: float
    seconds: float
    reason: str = ""

    @property
    def words(self) -> str:
        """Its name as a person reads it; what stands in brackets only where it is more than the board's name."""
        name, _, rest = self.test.rpartition("::")[2].partition("[")
        of_what = rest.rstrip("]").removeprefix(self.place).lstrip("-")
        return name.removeprefix("test_").replace("_", " ") + (f" ({of_what})" if of_what else "")


@dataclass(frozen=True)
class Accuracy:
    """A sensor against the truth, in the unit of the field's name."""

    place: str
    field: str
    truth: float
    read: float
    within: float

    @property
    def right(self) -> bool:
        """Whether it is near enough."""
        return abs(self.read - self.truth) <= self.within


@dataclass
class Results:
    """All of a run."""

    lab: str
    rig: str
    began_s: float = field(default_factory=time.time)
    tests: list[Result] = field(default_factory=list)
    accuracies: list[Accuracy] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By board, what was seen of it: MicroPython, build, self-test."""

    def take(self, report: pytest.TestReport) -> None:
        """A phase of a test is over."""
        if report.when != "call" and report.outcome == PASSED:
            return
        places = [value for name, value in report.user_properties if name == "board"]
        place = str(places[-1]) if places else ""
        outcome, reason = report.outcome, ""
        if report.skipped:
            outcome, reason = NOT_RUN, _skip_reason(report)
        elif report.failed:
            outcome, reason = FAILED, _last_line(report)
        self.tests.append(Result(report.nodeid, place, outcome, report.start, report.duration, reason))

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(result.outcome == outcome for result in self.tests)


def _skip_reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").removeprefix("not run: ")


def _last_line(report: pytest.TestReport) -> str:
    """What the test says of itself; how pytest came to it is in junit.xml."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash else report.longrepr).strip()
    return (text.removeprefix("AssertionError: ").partition("\nassert ")[0] or text)[:600]
