# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One run of the tests: the lab that it happens in, what it captures, and the page that it ends with."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from hil_tests.lab import file, report
from hil_tests.lab.capture import Capture
from hil_tests.lab.file import LabFile
from hil_tests.lab.place import Place, RealPlace, VirtualPlace
from hil_tests.lab.results import Results
from provisioning.errors import ConfigError

RUN: pytest.StashKey[Run] = pytest.StashKey()
VIRTUAL = "virtual"
# The virtual rig's board of each kind; the tests of any kind run on the first.
VIRTUAL_BOARDS = {"street_light": VIRTUAL, "waste_bin": "virtual_waste_bin", "traffic": "virtual_traffic"}


class Run:
    """What the tests of a run share. As a plugin of pytest it takes their results and writes the page."""

    def __init__(self, rig: str, folder: str | None) -> None:
        self.rig = rig
        try:
            self.lab: LabFile | None = None if rig == VIRTUAL else file.load(Path(rig))
        except ConfigError as error:
            raise pytest.UsageError(f"--rig: {error}") from error
        self._wanted = None if folder is None else Path(folder)
        self._folder: Path | None = None
        self._captures: dict[str, Capture] = {}
        self.results = Results("Virtual boards" if self.lab is None else self.lab.lab.name, rig)

    @property
    def folder(self) -> Path:
        """Where logs and captures go."""
        if self._folder is None:
            self._folder = self._wanted or self._scratch()
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in (*self._folder.glob("*.log"), *self._folder.glob("*.frames.jsonl")):
                old.unlink()
        return self._folder

    def _scratch(self) -> Path:
        self._kept = tempfile.TemporaryDirectory(prefix="hil-")  # goes with this object
        return Path(self._kept.name)

    def names(self, kind: str | None = None) -> list[str]:
        """The boards of the lab, all of them; of virtual ones that of *kind*."""
        if self.lab is None:
            return [VIRTUAL if kind is None else VIRTUAL_BOARDS[kind]]
        return [board.name for board in self.lab.boards]

    def place(self, name: str, folder: Path) -> Place:
        """Go to one board."""
        if self.lab is None:
            kind = next(kind for kind, board in VIRTUAL_BOARDS.items() if board == name)
            place: Place = VirtualPlace(folder, self.folder, name, kind)
        else:
            place = RealPlace(self.lab, next(each for each in self.lab.boards if each.name == name), self.folder)
        self._captures[place.capture.log.stem] = place.capture
        return place

    def capture(self, name: str) -> Capture:
        """A capture of its own name."""
        return self._captures.setdefault(name, Capture(self.folder, name))

    # pytest calls these where a report was asked for.

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test is over."""
        self.results.take(report)

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        report.write(self.folder, self.results, list(self._captures.values()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where it is."""
        terminalreporter.write_line(f"report: {self.folder / 'report.html'}")
