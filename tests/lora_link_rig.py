# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the LoRa link stand on: the link on a real socket, with a clock and counters to look at."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from gateway.front.line import Line
from gateway.front.scan import Router
from gateway.links import Uplink
from gateway.links.lora import LoraLink, Settings, build
from gateway.operate.counters import Counters
from gateway.radio import RadioDownlink, TxOutcome
from tests import packet_forwarder as other
from tests.packet_forwarder import PacketForwarder

A = bytes.fromhex("aa555a0000000101")
B = bytes.fromhex("aa555a0000000102")
STRANGER = bytes.fromhex("ffffffffffffffff")
PHY = bytes.fromhex("600102030405")
RX1 = RadioDownlink(868_100_000, 7, 125_000, 14, tmst_us=3_513_348_611)


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_s(self) -> float:
        return 1_800_000_000.0 + self.now_s


class WatchedCounters(Counters):
    """Counters that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = asyncio.Event()

    def add(self, group: str, name: str, amount: int = 1) -> None:
        super().add(group, name, amount)
        self._counted.set()

    def link(self, what: str, group: str = "links") -> int:
        return self.snapshot().get(group, {}).get(f"air_{what}", 0)

    async def until(self, what: str, amount: int = 1, group: str = "links") -> None:
        async with asyncio.timeout(other.WAIT_S):
            while self.link(what, group) < amount:
                self._counted.clear()
                await self._counted.wait()


class Rig:
    """A running link and its packet forwarders; *front*: stands between them, and is who judges and counts."""

    def __init__(self, link: LoraLink, clock: FakeClock, counters: WatchedCounters, front: Line | None = None) -> None:
        self.link = link
        self.front = front
        self.clock = clock
        self.counters = counters
        self.uplinks: list[Uplink] = []
        self.sink: Callable[[Uplink], None] = self.uplinks.append
        self._forwarders: list[PacketForwarder] = []

    @property
    def server(self) -> tuple[str, int]:
        bound = self.judge.bound
        assert bound is not None
        return bound

    @property
    def judge(self) -> Line | LoraLink:
        """Who decides whose datagrams are taken."""
        return self.front or self.link

    def forwarder(self, eui: bytes = A, address: str = "127.0.0.1") -> PacketForwarder:
        made = PacketForwarder(self.server, eui, address)
        self._forwarders.append(made)
        return made

    def count(self, what: str) -> int:
        return self.counters.link(what, "links" if self.front is None else "front")

    async def until_counted(self, what: str, amount: int) -> None:
        """For what is answered with nothing."""
        await self.counters.until(what, amount, "links" if self.front is None else "front")

    def close(self) -> None:
        for forwarder in self._forwarders:
            forwarder.close()


def settings(**changes: Any) -> Settings:
    fields: dict[str, Any] = {
        "type": "lora",
        "name": "air",
        "bind": "127.0.0.1:0",
        "gateways": [{"eui": A.hex()}, {"eui": B.hex()}],
        "ack_wait_s": 30.0,
        "rate_per_s": 1e6,
        "rate_burst": 1_000_000,
    }
    return Settings(**{**fields, **changes})


@asynccontextmanager
async def running(*, behind_front: bool = False, **changes: Any) -> AsyncIterator[Rig]:
    clock, counters = FakeClock(), WatchedCounters()
    own = settings(**changes)
    rig = Rig(build(own.behind_front() if behind_front else own, clock, counters), clock, counters)
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    task = asyncio.create_task(rig.link.run(lambda uplink: rig.sink(uplink)))
    try:
        await counters.until("lora_open")
        yield rig
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        rig.close()
    assert not failures


@asynccontextmanager
async def fronted(**changes: Any) -> AsyncIterator[Rig]:
    """The same behind a front, which has these settings; the link is that of its only worker."""
    async with running(behind_front=True) as rig:
        assert rig.link.bound is not None
        front = rig.front = Line(settings(**changes), [rig.link.bound], Router(1, {}), rig.clock, rig.counters)
        task = asyncio.create_task(front.run())
        try:
            while front.bound is None:
                assert not task.done(), task
                await asyncio.sleep(0)
            yield rig
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


Standing = Callable[..., AbstractAsyncContextManager[Rig]]


@pytest.fixture(name="standing", params=[running, fronted], ids=["link", "front"])
def link_or_front(request: pytest.FixtureRequest) -> Standing:
    """What forwarders talk to."""
    made: Standing = request.param
    return made


@pytest.fixture(autouse=True)
def nothing_unforeseen(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging.getLogger("lykta.gateway"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    yield
    assert not [record for record in caplog.get_records("call") if record.exc_info or record.levelno >= logging.ERROR]


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


async def downlink(rig: Rig, eui: bytes = A) -> "asyncio.Task[TxOutcome]":
    return asyncio.create_task(rig.link.send(eui.hex(), PHY, RX1))
