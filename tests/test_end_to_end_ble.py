# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings over Bluetooth through the daemon as its operator runs it, down to D-Bus and a look-alike of BlueZ."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.wire import frame
from tests.ble_rig import PATIENCE_S, Board, board
from tests.bluez_lookalike import LookAlike
from tests.gateway_rig import City, Daemon, Device
from tests.test_gateway_ble_bluez import bus, system_bus

__all__ = ["bus", "system_bus"]  # fixtures

pytestmark = pytest.mark.timeout(600)

READINGS = 12


class Joined(Board):
    """A board with a device in it: joins whenever somebody listens, sends until a receipt has taken everything."""

    device: Device

    def greet(self) -> None:
        self.send(self.device.join_request())

    def take(self, phy: bytes) -> list[bytes]:
        if frame.mtype(phy) == frame.JOIN_ACCEPT:
            self.device.take_accept(phy)
        else:
            self.device.take(phy)
        left = [seq for seq in range(1, READINGS + 1) if seq not in self.device.held]
        return [self.device.readings(*left[:4], oldest=left[0])] if left else []


def boards(city: City, count: int) -> list[Joined]:
    made = []
    for number in range(1, count + 1):
        device = city.device(number)
        plain = board(number, key=device.app_key)
        one = Joined(plain.address, plain.hint)
        one.device, one.answers = device, one.take
        made.append(one)
    return made


async def until(condition: Callable[[], object], daemon: Daemon) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - the state of another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError((daemon.events, daemon.counters("links"), daemon.refused())) from None


def done(boards: list[Joined]) -> bool:
    return all(each.device.held >= set(range(1, READINGS + 1)) for each in boards)


def test_readings_are_on_disk_and_receipted_and_strangers_are_not_spoken_to(tmp_path: Path) -> None:
    city = City(tmp_path / "city")
    known = boards(city, 2)
    stranger = Joined("C0:00:00:00:0F:FF", board(77).hint)
    config = city.config("unused", 1)
    config.write_text(config.read_text().replace('type = "serial"', 'type = "ble"').replace('port = "unused"\n', ""))

    async def scenario() -> None:
        async with LookAlike([*known, stranger]) as bluez:
            daemon = Daemon(config).ready()
            try:
                await until(lambda: done(known), daemon)
                assert daemon.stats().durable == READINGS * len(known)
                assert stranger.connections == 0
                assert "StartNotify" not in bluez.calls
                assert await asyncio.to_thread(daemon.stop) == 0
                await until(lambda: all(each.dropped is None for each in known), daemon)
            finally:
                await asyncio.to_thread(daemon.kill)

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["daemon", "adapter"])
def test_whatever_goes_away_nothing_is_lost_or_stored_twice(tmp_path: Path, fault: str) -> None:
    city = City(tmp_path / "city")
    (one,) = boards(city, 1)
    config = city.config("unused", 1)
    config.write_text(config.read_text().replace('type = "serial"', 'type = "ble"').replace('port = "unused"\n', ""))

    async def scenario() -> None:
        async with LookAlike([one]) as bluez:
            daemon = Daemon(config).ready()
            try:
                await until(lambda: one.device.held, daemon)
                if fault == "daemon":
                    await asyncio.to_thread(daemon.kill)
                    one.disconnect()  # bluetoothd drops what a client that is gone had open
                    daemon = Daemon(config).ready()
                else:
                    bluez.unplug()
                    bluez.plug()
                one.device.held.clear()  # its receipts are lost too: it sends everything again
                await until(lambda: done([one]), daemon)
                assert daemon.stats().durable == READINGS
                assert await asyncio.to_thread(daemon.stop) == 0
            finally:
                await asyncio.to_thread(daemon.kill)

    asyncio.run(scenario())
