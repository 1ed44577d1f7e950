# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Many boards at work, a row for each: a bar with speed and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from provisioning.bench import install
from provisioning.cli.output import note
from provisioning.errors import ProvisioningError

_NAME_WIDTH = 16


def short(ports: Sequence[str]) -> dict[str, str]:
    """A port's name in its row, so that bar, speed and time have room in 80 columns: its end, while that is unique."""
    ends = {port: port if len(port) <= _NAME_WIDTH else port.rpartition("/")[2][-_NAME_WIDTH:] for port in ports}
    alone = Counter(ends.values())
    return {port: end if alone[end] == 1 else port for port, end in ends.items()}


def columns() -> tuple[ProgressColumn, ...]:
    """What a row shows."""
    return TextColumn("{task.description}"), BarColumn(12), TransferSpeedColumn(), TimeRemainingColumn()


class Stopped(ProvisioningError):
    """A person pressed Ctrl-C."""


class Rows:
    """What jobs in their threads tell. Without a display each step is a line."""

    def __init__(self, display: Progress | None = None, ports: Sequence[str] = ()) -> None:
        self._display = display
        self._asking = threading.Lock()
        self._stopped = threading.Event()
        self._tasks: dict[str, TaskID] = {}
        self._names = {port: escape(name) for port, name in short(ports).items()}
        if display is not None:
            self._tasks = {port: display.add_task(f"{self._names[port]} waits", total=None) for port in ports}

    def step(self, port: str, what: str, remark: str) -> None:
        """A step of a job begins. Raises Stopped once stop() was called."""
        if self._stopped.is_set():
            raise Stopped("Stopped by hand.", next_step="give the same command again; it goes on where it stopped")
        if self._display is None:
            note(f"{port}: {what} {remark}".rstrip())
        else:
            self._display.update(self._tasks[port], description=f"{self._names[port]} {what} {escape(remark)}".rstrip())

    def stop(self) -> None:
        """No job begins another step."""
        self._stopped.set()

    def moved(self, port: str, at: install.Progress) -> None:
        """A job transfers a file."""
        if self._display is not None:
            self._display.update(self._tasks[port], total=at.total_bytes, completed=at.done_bytes)

    def ended(self, port: str, how: str) -> None:
        """A job is over."""
        if self._display is not None:
            self._display.update(self._tasks[port], description=f"{self._names[port]} {how}")

    def ask(self, what: str, word: str) -> bool:
        """Ask a person for a word; the rows stand still meanwhile. Without a terminal the answer is no."""
        console = Console(stderr=True)
        if not console.is_terminal:
            return False
        with self._asking:
            if self._display is not None:
                self._display.stop()
            try:
                return console.input(f"{what}. Type {word} to go on: ", markup=False).strip() == word
            finally:
                if self._display is not None:
                    self._display.start()


@contextmanager
def rows(ports: Sequence[str]) -> Iterator[Rows]:
    """The rows of these ports, while the block lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Rows()
        return
    with Progress(*columns(), console=console) as display:
        yield Rows(display, ports)
