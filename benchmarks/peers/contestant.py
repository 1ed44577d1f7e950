# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What all contestants are: a gateway as its operator runs it, which a ``with`` statement starts and ends."""

from __future__ import annotations

import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from benchmarks.load.rig import pin
from benchmarks.peers.plain_mqtt import FarEnd
from tests.gateway_rig import until

ROOT = Path(__file__).resolve().parents[2]
DEVICES = 20
FIRST_S = 1_790_000_000
"""The time of reading 0; that of reading n is n seconds later."""

Reading = tuple[int, int]
"""The device's place in the list of devices, from 0, and the reading's number, from 1."""


def reading_of(index: int) -> Reading:
    """Devices take turns."""
    return index % DEVICES, index // DEVICES + 1


def values_of(seq: int) -> dict[str, bool | int | float]:
    """What each reading says, whoever carries it."""
    return {"lamp_on": True, "power_w": 41.5, "dim_pct": 80, "energy_wh": 1000 + seq}


def plain(index: int) -> dict[str, object]:
    """A reading as devices say it that speak JSON."""
    device, seq = reading_of(index)
    return {"ts": (FIRST_S + index) * 1000, "device": f"light-{device:02}", "seq": seq, **values_of(seq)}


def place_of(name: str) -> int:
    """The place in the list of a device that ``plain`` named."""
    return int(name[-2:])


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile runs there with all its threads."""
    pin(0, core)
    try:
        yield
    finally:
        pin(0, 1)


class Contestant(ABC):
    """One gateway, installed. *folder*: its own."""

    name: str
    keeps: str
    """What it has on disk before it answers, in words."""
    window: int
    """Readings on their way at a time."""
    pid: int
    far_end: FarEnd

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[bytes] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @abstractmethod
    def _start(self, stack: ExitStack) -> None:
        """Start all that it needs and then itself; set ``pid`` and ``far_end``; *stack* ends them."""

    def prepare(self, count: int) -> None:
        """Have the first *count* readings ready, so that to make them costs nothing while the clock runs."""
        if count > len(self._made):
            self._made += self._make(len(self._made), count)

    @abstractmethod
    def _make(self, first: int, last: int) -> list[bytes]:
        """Return readings *first* to *last* (not included), by index, as they are sent; each call goes on."""

    @abstractmethod
    def offer(self, first: int, last: int) -> None:
        """Send readings *first* to *last* (not included), which are prepared; that of index n is reading_of(n)."""

    @abstractmethod
    def came(self, message: bytes) -> list[Reading]:
        """Return the readings in a message at the far end."""

    def _hears(self, stack: ExitStack, port: int, topic: str, mark: bytes) -> None:
        """Have a far end at a broker; *mark* stands once in each reading."""
        self.far_end = FarEnd(port, [topic], mark)
        stack.callback(self.far_end.close)

    def _run(self, stack: ExitStack, *command: str, kill: bool = False, **environment: str) -> None:
        """Start another's gateway on the first core; *kill*: it takes long to end when it is asked to."""
        with on_core(0), (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder, env=environment or None
            )
        stack.callback(process.wait, 30)
        stack.callback(process.kill if kill else process.terminate)
        self.pid = process.pid

    def _until_it_answers(self, probe: Callable[[], object], quiet_s: float) -> None:
        """Wait until a *probe* comes out at the far end, and none of those that went before comes any more."""

        def came() -> bool:
            probe()
            return self.far_end.arrived > 0

        def still() -> bool:
            before = self.far_end.arrived
            time.sleep(quiet_s)
            return before == self.far_end.arrived

        until(came, f"{self.name} to pass a reading on", 90)
        until(still, f"{self.name} to pass on all that was tried", 60)


class ByDatagrams(Contestant):
    """One that is given each reading in a datagram of its own."""

    def _opens(self, stack: ExitStack, port: int) -> None:
        self._sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._sender.connect(("127.0.0.1", port))

    def offer(self, first: int, last: int) -> None:
        """One reading in one datagram."""
        for datagram in self._made[first:last]:
            self._sender.send(datagram)
