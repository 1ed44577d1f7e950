# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: set up a city, let it work, stop it in order, account for every reading."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from consumer.inbox import Inbox
from consumer.report import VerifiedReading
from provisioning.city import create_city
from provisioning.demo.broker import running_broker
from provisioning.demo.flash import read_queue
from provisioning.demo.processes import Child, run_briefly
from provisioning.demo.summary import Summary, summarise
from provisioning.demo.view import KIND, View
from provisioning.enroll import CONFIG_NAME, enroll_gateway
from provisioning.errors import AlreadyExists, DemoError
from provisioning.images import board_command, make_board_image
from provisioning.private_files import make_directory
from provisioning.subscriber import Subscriber
from provisioning.verification import Verification, build_verifier, deadline

INTERVAL_MS: Final = 1000
RECEIPT_EVERY: Final = 2
_SCENARIO: Final = "demo"  # a day in minutes, so that there is something to see
_START_S: Final = 60.0
_FIRST_READING_S: Final = 20.0
_DRAIN_S: Final = 15.0
_STOP_S: Final = 10.0
_STATS_S: Final = 30.0
_QUIET_S: Final = 1.0
_AT_ONCE: Final = 2  # so many requests to end leave no time for order
_END: Final = object()

Stopped = Callable[[], int]


def run_demo(folder: Path | None, for_s: float | None, view: View, stopped: Stopped) -> Summary:
    """Run until `for_s` seconds after the start or until `stopped` counts a request to end; two end it at once.

    In `folder`, or in a temporary one that is kept only when something was not right. Raises DemoError and
    every other ProvisioningError.
    """
    home = _new_folder(folder)
    try:
        summary = _Demo(home, view, stopped).run(for_s)
    except BaseException:
        view.note(f"the demo's files and logs are in {home}")
        raise
    if not summary.ok:
        view.note(f"the demo's files and logs are in {home}")
    elif folder is None:
        shutil.rmtree(home, ignore_errors=True)
    return summary


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="lykta-demo-"))
    folder = folder.absolute()
    make_directory(folder, 0o700)
    if any(folder.iterdir()):
        raise AlreadyExists("The directory for the demo is not empty.", value=folder, next_step="choose another --dir")
    return folder


class _Demo:
    def __init__(self, home: Path, view: View, stopped: Stopped) -> None:
        self._home = home
        self._view = view
        self._stopped = stopped
        self._logs = home / "logs"
        self._image = home / "board.image"
        self._port = home / "board.tty"
        self._config = home / "gateway" / CONFIG_NAME
        self._verified_seqs: set[int] = set()
        self._durable = 0

    def run(self, for_s: float | None) -> Summary:
        make_directory(self._logs)
        self._view.note("making a city with one street light and one gateway")
        city = create_city(self._home / "city", "Demo")
        with city.registry() as registry:
            device = registry.register_device(KIND, name="demo street light", owner="demo")
        make_board_image(city, device.dev_eui, self._image, interval_ms=INTERVAL_MS, receipt_every=RECEIPT_EVERY)
        inbox = Inbox(build_verifier(city, None, from_start=True, accept_eddsa=False))
        self._verification = Verification(inbox, self._show, self._view.note)
        with ExitStack() as stack:
            broker, child, program = stack.enter_context(
                running_broker(self._home, self._logs, lambda: self._stopped() > 0)
            )
            self._view.note(f"broker: {program} on {broker}")
            enroll_gateway(city, "demo", self._config.parent, serial_port=str(self._port), broker=broker)
            self._subscriber = Subscriber(broker, self._verification.handlers(self._view.note))
            steps = self._steps(for_s, child, stack)
            self._subscriber.run(lambda: self._advance(steps))
            return self._summary()

    def _advance(self, steps: Iterator[None]) -> bool:
        """Asked several times a second by the subscriber, which stays connected from the first step to the last."""
        self._view.refresh(self._verification.inbox.verifier.report())
        return next(steps, _END) is _END

    def _steps(self, for_s: float | None, broker: Child, stack: ExitStack) -> Iterator[None]:
        yield from self._start("a subscription", lambda: self._subscriber.subscribed, broker)
        board = stack.enter_context(
            Child("board", board_command(self._image, self._port, ["--scenario", _SCENARIO]), self._logs)
        )
        yield from self._start("the board", self._port.exists, board)
        gateway = stack.enter_context(Child("gateway", _gateway("run", self._config), self._logs))
        self._view.note("waiting for the board to join" + ("" if for_s else "; Ctrl-C ends the demo"))
        over, late = deadline(for_s), deadline(_FIRST_READING_S)
        while not over() and not self._stopped():
            _check(broker, board, gateway)
            if late() and not self._verified_seqs:
                self._view.note(f"no reading yet after {_FIRST_READING_S:g} s; the logs are in {self._logs}")
                late = deadline(None)
            yield
        self._view.note("stopping the board, letting the gateway deliver what it holds")
        board.stop(_STOP_S)
        yield from self._wait(self._drained(), _DRAIN_S, [broker, gateway])
        gateway.stop(_STOP_S)
        self._durable = self._read_durable()
        # What the gateway still took from the line while it ended.
        yield from self._wait(lambda: len(self._verified_seqs) >= self._durable, _DRAIN_S, [broker])

    def _start(self, what: str, ready: Callable[[], bool], child: Child) -> Iterator[None]:
        yield from self._wait(lambda: ready() or self._stopped() > 0, _START_S, [child])
        if self._stopped():
            raise DemoError("Stopped before the first reading.")
        if not ready():
            raise DemoError(f"Waited {_START_S:g} s for {what} in vain.", reason=child.tail())

    def _wait(self, done: Callable[[], bool], timeout_s: float | None, children: list[Child]) -> Iterator[None]:
        over = deadline(timeout_s)
        while not done() and not over() and self._stopped() < _AT_ONCE:
            _check(*children)
            yield

    def _summary(self) -> Summary:
        judgement = self._verification.judgement()
        self._view.refresh(judgement.report)
        return summarise(self._durable, self._verified_seqs, read_queue(self._image), judgement)

    def _drained(self) -> Callable[[], bool]:
        """A question: has nothing come for a while, and was all that the gateway has verified?"""
        since_s, before = time.monotonic(), -1

        def drained() -> bool:
            nonlocal since_s, before
            if len(self._verified_seqs) != before:
                since_s, before = time.monotonic(), len(self._verified_seqs)
            if time.monotonic() < since_s + _QUIET_S:
                return False
            since_s = time.monotonic()
            return len(self._verified_seqs) >= self._read_durable()

        return drained

    def _read_durable(self) -> int:
        """How many readings the gateway has on disk."""
        text = run_briefly([*_gateway("stats", self._config), "--json"], _STATS_S)
        try:
            return int(json.loads(text)["durable"])
        except (ValueError, KeyError, TypeError) as error:
            raise DemoError("The gateway's statistics cannot be read.", value=text[:200]) from error

    def _show(self, gateway: str, reading: VerifiedReading) -> None:
        self._verified_seqs.add(reading.seq)
        self._view.reading(gateway, reading)


def _check(*children: Child) -> None:
    for child in children:
        child.check()


def _gateway(verb: str, config: Path) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", verb, "--config", str(config)]
