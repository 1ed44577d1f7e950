# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: set up a city, let it work, stop it in order, account for every reading."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from consumer.inbox import Inbox
from consumer.report import VerifiedReading
from provisioning.city import City, create_city
from provisioning.demo.bluetooth import BluetoothAir
from provisioning.demo.broker import running_broker
from provisioning.demo.lights import make_lights, read_queues, switch_off
from provisioning.demo.plan import Plan
from provisioning.demo.processes import Child, run_briefly
from provisioning.demo.radio import RadioLog, VirtualAir
from provisioning.demo.summary import Summary, summarise
from provisioning.demo.view import View
from provisioning.enroll import CONFIG_NAME, Broker, enroll_gateway
from provisioning.errors import AlreadyExists, DemoError
from provisioning.private_files import make_directory
from provisioning.subscriber import Subscriber
from provisioning.verification import Verification, build_verifier, deadline

_START_S: Final = 60.0
_DRAIN_S: Final = 15.0
_STOP_S: Final = 10.0
_STATS_S: Final = 30.0
_QUIET_S: Final = 1.0
_AT_ONCE: Final = 2  # so many requests to end leave no time for order
_END: Final = object()
_LOG_OPTIONS: Final = ("--log-level", "debug")  # each frame, for what the table says of the radio

Stopped = Callable[[], int]


def run_demo(plan: Plan, folder: Path | None, for_s: float | None, view: View, stopped: Stopped) -> Summary:
    """Run what `plan` says until `for_s` seconds after the start or until `stopped` counts a request to end.

    Two requests end it at once.

    In `folder`, or in a temporary one that is kept only when something was not right. Raises DemoError and
    every other ProvisioningError.
    """
    home = _new_folder(folder)
    try:
        summary = _Demo(plan, home, view, stopped).run(for_s)
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
    def __init__(self, plan: Plan, home: Path, view: View, stopped: Stopped) -> None:
        self._plan = plan
        self._home = home
        self._view = view
        self._stopped = stopped
        self._logs = home / "logs"
        self._config = home / "gateway" / CONFIG_NAME
        self._air = VirtualAir(home, plan.over("lora")) if plan.over("lora") else None
        self._bluetooth = BluetoothAir(home) if plan.over("ble") else None
        self._radio = RadioLog(self._logs / "gateway.log")
        self._verified: dict[str, set[int]] = defaultdict(set)
        self._children: list[Child] = []
        self._durable = 0

    def run(self, for_s: float | None) -> Summary:
        make_directory(self._logs)
        for line in (f"making a city with {self._plan.boards()} and one gateway", *self._plan.lines()):
            self._view.note(line)
        city = create_city(self._home / "city", "Demo")
        self._lights = make_lights(city, self._home, self._plan)
        inbox = Inbox(build_verifier(city, None, from_start=True, accept_eddsa=False))
        self._verification = Verification(inbox, self._show, self._view.note)
        with ExitStack() as stack:
            broker, child, program = stack.enter_context(
                running_broker(self._home, self._logs, lambda: self._stopped() > 0)
            )
            self._view.note(f"broker: {program} on {broker}")
            self._enroll(city, broker)
            self._subscriber = Subscriber(broker, self._verification.handlers(self._view.note))
            steps = self._steps(for_s, child, stack)
            self._subscriber.run(lambda: self._advance(steps))
            return self._summary()

    def _enroll(self, city: City, broker: Broker) -> None:
        ports = [str(light.port) for light in self._lights if light.plan.link == "serial"]
        lora = self._air.link if self._air else None
        ble = self._bluetooth is not None
        enroll_gateway(city, "demo", self._config.parent, serial_ports=ports, lora=lora, ble=ble, broker=broker)
        if self._bluetooth:
            self._bluetooth.use(self._config)

    def _advance(self, steps: Iterator[None]) -> bool:
        """Asked several times a second by the subscriber, which stays connected from the first step to the last."""
        self._view.refresh(self._verification.inbox.verifier.report(), self._radio_line())
        return next(steps, _END) is _END

    def _steps(self, for_s: float | None, broker: Child, stack: ExitStack) -> Iterator[None]:
        self._children = [broker]
        yield from self._start("a subscription", lambda: self._subscriber.subscribed, broker)
        boards: list[Child] = []
        environment: dict[str, str] = {}
        if self._bluetooth is not None:
            yield from self._start_bluetooth(stack, self._bluetooth)
            environment = self._bluetooth.environment()
        if self._air is None:
            yield from self._switch_on(stack, boards)
        gateway = self._child(stack, "gateway", _gateway("run", self._config, *_LOG_OPTIONS), environment)
        if self._air is not None:
            yield from self._start("the gateway", self._gateway_listens, gateway)
            yield from self._start_air(stack, self._air)
            yield from self._switch_on(stack, boards)
        yield from self._work(for_s)
        self._view.note(f"stopping the {self._board_word()}, letting the gateway deliver what it holds")
        self._children = [child for child in self._children if child not in boards]
        switch_off(boards, _STOP_S)
        yield from self._wait(self._drained(), _DRAIN_S)
        self._children.remove(gateway)
        gateway.stop(_STOP_S)
        self._durable = self._read_durable()
        # What the gateway still took from the line while it ended.
        yield from self._wait(lambda: self._count() >= self._durable, _DRAIN_S)

    def _gateway_listens(self) -> bool:
        self._radio.refresh()
        return self._radio.open

    def _start_air(self, stack: ExitStack, air: VirtualAir) -> Iterator[None]:
        child = self._child(stack, "air", air.command())
        yield from self._start("the virtual air", lambda: air.ready, child)
        self._view.note(f"in the air: {air.forwarders} packet forwarder{'s' if air.forwarders > 1 else ''}")

    def _start_bluetooth(self, stack: ExitStack, air: BluetoothAir) -> Iterator[None]:
        child = self._child(stack, "bluetooth", air.command())
        yield from self._start("the virtual Bluetooth", lambda: air.ready, child)

    def _switch_on(self, stack: ExitStack, boards: list[Child]) -> Iterator[None]:
        """One after the other: the start of a process takes its time of a small computer."""
        for light in self._lights:
            options: list[str] = []
            if light.plan.link == "lora" and self._air:
                options += self._air.board_options(light.number)
            if light.plan.link == "ble" and self._bluetooth:
                options += self._bluetooth.board_options()
            if light.plan.link != "serial":  # nobody reads the serial port then
                options += ["--console-log", str(self._logs / f"{light.name}.console.log")]
            boards.append(self._child(stack, light.name, light.command(options)))
            yield from self._start("the board", light.port.exists, boards[-1])

    def _work(self, for_s: float | None) -> Iterator[None]:
        self._view.note(f"waiting for the {self._board_word()} to join" + ("" if for_s else "; Ctrl-C ends the demo"))
        over, late, waiting = deadline(for_s), deadline(self._plan.first_reading_s), True
        while not over() and not self._stopped():
            _check(*self._children)
            if waiting and self._verified:
                self._view.note((f"ends by itself after {for_s:g} s; " if for_s else "") + "Ctrl-C ends the demo")
                waiting = False
            if late() and not self._verified:
                self._view.note(f"no reading yet after {self._plan.first_reading_s:g} s; the logs are in {self._logs}")
                late = deadline(None)
            yield

    def _child(
        self, stack: ExitStack, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        child = stack.enter_context(Child(name, command, self._logs, environment))
        self._children.append(child)
        return child

    def _start(self, what: str, ready: Callable[[], bool], child: Child) -> Iterator[None]:
        over = deadline(_START_S)
        while not ready() and not over():
            if self._stopped():
                raise DemoError("Stopped before the first reading.")
            _check(*self._children)
            yield
        if not ready():
            raise DemoError(f"Waited {_START_S:g} s for {what} in vain.", reason=child.tail())

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> Iterator[None]:
        over = deadline(timeout_s)
        while not done() and not over() and self._stopped() < _AT_ONCE:
            _check(*self._children)
            yield

    def _summary(self) -> Summary:
        judgement = self._verification.judgement()
        self._view.refresh(judgement.report, self._radio_line())
        remarks = (self._radio_line(),) if self._air else ()
        return summarise(self._durable, self._verified, read_queues(self._lights), judgement, remarks)

    def _radio_line(self) -> str:
        if self._air is None:
            return ""
        self._radio.refresh()
        return self._radio.line()

    def _board_word(self) -> str:
        return "board" if self._plan.devices == 1 else "boards"

    def _count(self) -> int:
        return sum(map(len, self._verified.values()))

    def _drained(self) -> Callable[[], bool]:
        """A question: has nothing come for a while, and was all that the gateway has verified?"""
        since_s, before = time.monotonic(), -1

        def drained() -> bool:
            nonlocal since_s, before
            if self._count() != before:
                since_s, before = time.monotonic(), self._count()
            if time.monotonic() < since_s + _QUIET_S:
                return False
            since_s = time.monotonic()
            return self._count() >= self._read_durable()

        return drained

    def _read_durable(self) -> int:
        """How many readings the gateway has on disk."""
        text = run_briefly([*_gateway("stats", self._config), "--json"], _STATS_S)
        try:
            return int(json.loads(text)["durable"])
        except (ValueError, KeyError, TypeError) as error:
            raise DemoError("The gateway's statistics cannot be read.", value=text[:200]) from error

    def _show(self, gateway: str, reading: VerifiedReading) -> None:
        self._verified[reading.dev_eui].add(reading.seq)
        if self._air is not None:
            self._radio.refresh()
        light = next((light for light in self._lights if light.dev_eui.hex() == reading.dev_eui), None)
        board = light.plan if light is not None and self._plan.mixed else None
        self._view.reading(gateway, reading, self._radio.heard.get(reading.dev_eui), board)


def _check(*children: Child) -> None:
    for child in children:
        child.check()


def _gateway(verb: str, config: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", verb, "--config", str(config), *options]
