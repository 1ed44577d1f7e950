# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The serial link on real PTYs: noise, half frames, a port that is pulled out, comes back, or never was."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from firmware.wire import cobs
from gateway.errors import LinkError
from gateway.links import Uplink
from gateway.links.serial import SerialLink, Settings, build
from gateway.operate.counters import Counters
from tests.gateway_rig import PATIENCE_S, Port
from tests.outbox_rig import TestClock

BANNER = b"MPY: soft reboot\r\nMicroPython v1.28.0 on 2026-04-06; linux\r\n>>> "


class Listener:
    """A link that runs inside a test, and what it heard."""

    def __init__(self, path: Path) -> None:
        self.counters = Counters()
        self.link: SerialLink = build(Settings(type="serial", name="bench", port=str(path)), TestClock(), self.counters)
        self.heard: list[Uplink] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> "Listener":
        self._task = asyncio.create_task(self.link.run(self._sink))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._task.cancelled(), self._task.exception()

    def _sink(self, uplink: Uplink) -> None:
        self.heard.append(uplink)
        self._news.set()

    async def frames(self, count: int) -> list[bytes]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        return [uplink.phy for uplink in self.heard]

    async def counted(self, name: str, count: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.counters.snapshot().get("links", {}).get(name, 0) < count:  # noqa: ASYNC110 - a count
                await asyncio.sleep(0.01)


def test_frames_pass_both_ways_between_noise_and_banners(port: Port, rng: random.Random) -> None:
    phys = [rng.randbytes(rng.randrange(1, 256)) for _ in range(50)]

    async def scenario() -> None:
        async with Listener(port.path) as listener:
            await listener.counted("bench_serial_open")
            for phy in phys:
                port.write(BANNER + cobs.frame(phy) + bytes(rng.choices(range(1, 256), k=20)))
            heard = await listener.frames(len(phys))
            assert [phy for phy in heard if phy in phys] == phys
            assert listener.heard[0].address == str(port.path)
            assert listener.heard[0].received_at == TestClock().wall_s()
            for phy in phys[:10]:
                await listener.link.send(str(port.path), phy)
            assert [await asyncio.to_thread(port.receive) for _ in range(10)] == phys[:10]

    asyncio.run(scenario())


def test_one_byte_at_a_time_is_enough(port: Port) -> None:
    async def scenario() -> None:
        async with Listener(port.path) as listener:
            await listener.counted("bench_serial_open")
            for byte in cobs.frame(b"\x00\x01hello\x00"):
                port.write(bytes([byte]))
                await asyncio.sleep(0)
            assert await listener.frames(1) == [b"\x00\x01hello\x00"]

    asyncio.run(scenario())


def test_a_port_may_be_absent_pulled_out_and_plugged_in_under_another_number(port: Port) -> None:
    port.unplug()

    async def scenario() -> None:
        async with Listener(port.path) as listener:
            await listener.counted("bench_serial_absent")
            with pytest.raises(LinkError):
                await listener.link.send("port", b"nobody hears this")
            for turn in range(1, 4):
                port.plug()
                await listener.counted("bench_serial_open", turn)
                port.write(b"\x07half a frame of before")
                port.send(b"turn %d" % turn)
                assert (await listener.frames(turn))[-1] == b"turn %d" % turn
                await listener.link.send("port", b"answer")
                assert await asyncio.to_thread(port.receive) == b"answer"
                port.unplug()
                await listener.counted("bench_serial_absent", turn + 1)

    asyncio.run(scenario())


def test_a_line_that_nobody_reads_refuses_frames_instead_of_memory(port: Port) -> None:
    async def scenario() -> None:
        async with Listener(port.path) as listener:
            await listener.counted("bench_serial_open")
            with pytest.raises(LinkError, match="nobody reads"):
                for _ in range(2000):
                    await listener.link.send("port", bytes(range(255)))
            port.send(b"it still hears")
            assert await listener.frames(1) == [b"it still hears"]
            for _ in range(20):
                assert await asyncio.to_thread(port.receive) == bytes(range(255))
            await listener.link.send("port", b"again")

    asyncio.run(scenario())


def test_a_port_that_another_program_holds_is_waited_for(port: Port) -> None:
    async def scenario() -> None:
        second = Listener(port.path)
        async with AsyncExitStack() as stack:
            async with Listener(port.path) as first:
                await first.counted("bench_serial_open")
                await stack.enter_async_context(second)
                await second.counted("bench_serial_absent")
            await second.counted("bench_serial_open")

    asyncio.run(scenario())


def test_a_board_is_told_that_somebody_is_there(port: Port) -> None:
    async def scenario() -> None:
        async with Listener(port.path) as listener:
            await listener.counted("bench_serial_open")
            assert await asyncio.to_thread(port.read) == b"\0"

    asyncio.run(scenario())
