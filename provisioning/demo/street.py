# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway on one board's serial port, and the city's end of the line: what arrives there is verified and counted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consumer.inbox import Inbox
from consumer.report import VerifiedReading
from provisioning.city import City
from provisioning.demo.processes import Child
from provisioning.enroll import CONFIG_NAME, Broker, enroll_gateway
from provisioning.errors import DemoError
from provisioning.private_files import make_directory
from provisioning.subscriber import Subscriber
from provisioning.verification import Verification, build_verifier, deadline

PATIENCE_S: Final = 180.0
_STOP_S: Final = 20.0


class Street:
    """Enrols its gateway, and listens at the city's end whenever somebody waits. Raises DemoError."""

    def __init__(self, city: City, folder: Path, port: str, broker: Broker, note: Callable[[str], None]) -> None:
        self.readings: list[VerifiedReading] = []
        """Each once, as they were verified."""
        self.problems: list[str] = []
        self._logs = folder / "logs"
        self._config = folder / "gateway" / CONFIG_NAME
        self._gateway: Child | None = None
        make_directory(self._logs)
        enroll_gateway(city, "pole box", self._config.parent, serial_ports=[port], broker=broker)
        inbox = Inbox(build_verifier(city, None, from_start=True, accept_eddsa=False))
        verification = Verification(
            inbox, lambda _gateway, reading: self.readings.append(reading), self.problems.append
        )
        handlers = verification.handlers(note)
        self._subscriber = Subscriber(broker, handlers, client_id="city")  # the broker keeps what comes meanwhile
        self.wait(lambda: self._subscriber.subscribed, "the broker to take the subscription")

    @property
    def seqs(self) -> list[int]:
        """The numbers of all readings that were verified."""
        return [reading.seq for reading in self.readings]

    @property
    def complete(self) -> bool:
        """Whether none is missing between the first and the last, and none came twice."""
        return sorted(self.seqs) == list(range(min(self.seqs, default=0), max(self.seqs, default=-1) + 1))

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """While the block lasts the board has its gateway; afterwards its port is free."""
        command = [sys.executable, "-m", "gateway.cli", "run", "--config", str(self._config)]
        with Child("gateway", command, self._logs) as self._gateway:
            yield
            self._gateway.stop(_STOP_S)
        self._gateway = None

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Listen until something is so; a failure tells what the gateway said."""
        over = deadline(PATIENCE_S)
        reached = False

        def enough() -> bool:
            nonlocal reached
            if self._gateway is not None:
                self._gateway.check()
            reached = done()
            return reached or over()

        self._subscriber.run(enough)
        if not reached:
            said = "" if self._gateway is None else self._gateway.tail()
            why = "\n".join([*self.problems, said])
            raise DemoError(
                f"It took longer than {PATIENCE_S:g} s: {what}.", value=f"{len(self.readings)} readings", reason=why
            )
