# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Links as stages of the watchdog: silence and a missing device are no fault, a loop that hangs is one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway import turns
from gateway.ends import Built, Ends
from gateway.links import ble, lora, serial
from gateway.links.ble import link as ble_link
from gateway.links.lora import LoraLink
from gateway.links.serial import SerialLink
from gateway.operate.counters import Counters
from gateway.operate.stages import Stages
from gateway.supervisor import Supervisor
from tests.gateway_rig import Port
from tests.lora_link_rig import settings as lora_settings
from tests.outbox_rig import TestClock

LIMIT_S = turns.Turns.longest_turn_s


class Watched:
    """One link that runs, and how often it went around."""

    def __init__(self, link: turns.Turns, clock: TestClock, stages: Stages) -> None:
        self.link, self.clock, self.stages = link, clock, stages
        self._turns = asyncio.Semaphore(0)
        stages.add("link", link.longest_turn_s)
        link.watch(self._turned)

    def _turned(self) -> None:
        self.stages.beat("link")
        self._turns.release()

    async def turns(self, count: int) -> None:
        async with asyncio.timeout(60):
            for _ in range(count):
                await self._turns.acquire()

    async def is_well(self) -> None:
        """However late it is, its next turn comes."""
        for _ in range(3):
            self.clock.sleep(self.link.longest_turn_s + 1)
            assert self.stages.stuck()
            while self._turns.locked() is False:
                await self._turns.acquire()
            await self.turns(2)
            assert not self.stages.stuck()

    async def hangs(self) -> None:
        for _ in range(20):  # turns of what still goes around
            await asyncio.sleep(turns.TURN_S)
        self.clock.sleep(self.link.longest_turn_s + 1)
        for _ in range(20):
            await asyncio.sleep(turns.TURN_S)
        assert [state.name for state in self.stages.stuck()] == ["link"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_S", 0.005)


def watched(build: Callable[[TestClock], Any], body: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    """Run a link, and *body* beside it."""

    async def both() -> None:
        clock = TestClock()
        found = Watched(build(clock), clock, Stages(clock))
        task = asyncio.ensure_future(found.link.run(lambda _: None))  # type: ignore[attr-defined]
        try:
            await body(found)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(both())


def serial_link(path: Path) -> Callable[[TestClock], SerialLink]:
    settings = serial.Settings(type="serial", name="bench", port=str(path))
    return lambda clock: serial.build(settings, clock, Counters())


def lora_link(clock: TestClock) -> LoraLink:
    return lora.build(lora_settings(), clock, Counters())


def test_a_serial_port_that_is_not_there_or_says_nothing_is_no_fault(tmp_path: Path) -> None:
    port = Port(tmp_path / "tty")
    try:
        watched(serial_link(tmp_path / "none"), Watched.is_well)
        watched(serial_link(tmp_path / "tty"), Watched.is_well)
    finally:
        port.close()


def test_a_serial_link_whose_driver_never_comes_back_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: SerialLink) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(SerialLink, "_open", never)
    watched(serial_link(tmp_path / "none"), Watched.hangs)


def test_a_lora_link_without_frames_is_no_fault_and_one_that_looks_no_more_is_stuck() -> None:
    async def deaf(found: Watched) -> None:
        await found.is_well()
        link = found.link
        assert isinstance(link, LoraLink)
        assert link._socket is not None
        asyncio.get_running_loop().remove_reader(link._socket.fileno())  # as after an error that nobody foresaw
        link._watched = False
        await found.hangs()

    watched(lora_link, deaf)


def test_a_lora_link_whose_port_is_taken_goes_around(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_: object) -> None:
        raise OSError("Address already in use")

    monkeypatch.setattr(lora.server, "open_socket", taken)
    watched(lora_link, Watched.is_well)


class Silent:
    """An adapter that hears nobody; *stuck*: its search does not even begin."""

    def __init__(self) -> None:
        self.stuck = False
        self.hangs = asyncio.Event()

    def scanning(self, _heard: object) -> Silent:
        return self

    async def __aenter__(self) -> None:
        if self.stuck:
            self.hangs.set()
            await asyncio.Event().wait()

    async def __aexit__(self, *_exception: object) -> None:
        pass


def _ble(adapter: Silent) -> Callable[[TestClock], ble_link.BleLink]:
    settings = ble.Settings(type="ble", name="near", scan_s=0.1, connect_s=0.1, prove_s=0.1)
    return lambda clock: ble_link.BleLink(settings, clock, Counters(), adapter)  # type: ignore[arg-type]


def test_an_adapter_that_hears_nobody_is_no_fault_and_one_that_hangs_is_stuck() -> None:
    adapter = Silent()

    async def body(found: Watched) -> None:
        await found.turns(2)
        for _ in range(2):
            found.clock.sleep(found.link.longest_turn_s / 2)
            await found.turns(3)
            assert not found.stages.stuck()
        adapter.stuck = True
        await adapter.hangs.wait()
        await found.hangs()

    watched(_ble(adapter), body)


def test_a_link_is_a_stage_as_long_as_it_is_there() -> None:
    async def body() -> None:
        clock = TestClock()
        stages = Stages(clock)
        ends = Ends(clock, Counters(), random.Random(1), stages, None, None)  # type: ignore[arg-type]
        settings = lora_settings()
        ends.take(Built({"air": (settings, lora.build(settings, clock, Counters()))}))
        async with asyncio.TaskGroup() as group:
            tasks = Supervisor(group)
            ends.start(tasks, lambda _: None)
            assert [state.name for state in stages.states()] == ["link air"]
            clock.sleep(LIMIT_S + 1)
            while stages.stuck():  # noqa: ASYNC110 - its next turn
                await asyncio.sleep(0.01)
            await ends.change(tasks, Built(), lambda _: None, [])
            assert stages.states() == []

    asyncio.run(body())
