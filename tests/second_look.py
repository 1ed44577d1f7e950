# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A few tests that failed beside others run once more, alone: `make test` tells load from fault and says which it was.

Hundreds of tests drive processes that keep real time, four at once on two processors. A reader of the run sees the
first failure whole and the list of what passed only alone; neither is an excuse to leave them. No second look has a
test decided by computing alone (it is over in a moment), a property that found a counterexample, a run in which more
than a few tests failed.
"""

import subprocess
import sys
from collections.abc import Generator

import pytest

MOST = 3
"""Failed tests of one run. More of them are no accident."""
REAL_TIME_S = 2.0
"""What is over sooner has waited for nobody."""
LIMIT_S = 900


class SecondLook:
    """Collects what fails; has it run again at the end. In xdist's processes there is none of it."""

    def __init__(self) -> None:
        self._failed: dict[str, bool] = {}
        self._unsteady: list[str] = []
        self._said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            may = report.duration >= REAL_TIME_S and "hypothesis" not in report.keywords
            self._failed[_plain(report.nodeid)] = may and self._failed.get(_plain(report.nodeid), True)

    def allowed(self) -> bool:
        """Whether what failed may have been in somebody's way."""
        return 0 < len(self._failed) <= MOST and all(self._failed.values())

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.TESTS_FAILED or not self.allowed():
            return
        command = [sys.executable, "-m", "pytest", "-n0", "-q", "-m", "", "-p", "no:cacheprovider", *self._failed]
        try:
            again = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            self._said = f"not over after {LIMIT_S} s"
            return
        self._said = again.stdout[-20_000:] + again.stderr[-5_000:]
        if again.returncode == pytest.ExitCode.OK:
            self._unsteady = list(self._failed)
            session.exitstatus = pytest.ExitCode.OK

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        yield
        if self._unsteady:
            terminalreporter.section("UNSTEADY: failed beside others, passed alone", yellow=True)
            terminalreporter.write_line("\n".join(self._unsteady))
            terminalreporter.write_line("The run counts as passed. The failure above is to be explained all the same.")
        elif self._said:
            terminalreporter.section("failed beside others, and alone", red=True)
            terminalreporter.write_line(self._said)


def _plain(nodeid: str) -> str:
    """Without the group that xdist writes behind it."""
    return nodeid.rpartition("@")[0] if nodeid.rfind("@") > nodeid.rfind("]") else nodeid


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondLook(), "second-look")
