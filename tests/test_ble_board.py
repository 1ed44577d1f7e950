# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware over Bluetooth LE, on the real MicroPython in the virtual air: delivery and its enemies."""

import asyncio
import contextlib
import random
from pathlib import Path

import pytest

from boards.virtual.ble.air import Air, Conditions
from firmware.wire import gatt
from firmware.wire.segment import READY, Segmenter
from gateway.network.aes import ecb
from tests.ble_air_rig import WAIT_S, BleBoard, Central, Gateway, Peer, ble_air, hint_of, make_board
from tests.upy.small_network import KEY, Server

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_board(tmp_path_factory.mktemp("ble"))


def _fresh(image: Path, folder: Path) -> Path:
    copy = folder / "image"
    copy.write_bytes(image.read_bytes())
    return copy


def test_a_board_joins_and_delivers(image: Path, tmp_path: Path) -> None:
    async def live() -> None:
        server = Server()
        async with ble_air(tmp_path) as (_, air), BleBoard(_fresh(image, tmp_path), air) as board:
            async with Central(air) as central, Gateway(central, server) as gateway:
                await gateway.until(lambda: server.base >= 10, "ten receipted readings")
                assert gateway.lost == 0
            assert server.joins == list(range(len(server.joins)))  # each once; another where an answer was late
            assert not server.conflicts
            assert b"MemoryError" not in board.text

    asyncio.run(live())


def _forged_downlink(address: int = 0x26000001) -> bytes:
    """A downlink whose MIC nobody's key made."""
    return bytes([0x60]) + address.to_bytes(4, "little") + bytes([0, 0, 0, 4]) + b"forged" + b"mic!"


def test_forged_replayed_oversized_and_endless_pieces_are_refused_and_the_next_gateway_is_served(
    image: Path, tmp_path: Path
) -> None:
    async def live() -> None:
        server = Server()
        recorded: list[bytes] = []
        answer = server.uplink

        def record(phy: bytes) -> list[bytes]:
            answers: list[bytes] = answer(phy)
            recorded.extend(answers)
            return answers

        server.uplink = record
        async with ble_air(tmp_path) as (_, air), BleBoard(_fresh(image, tmp_path), air) as board:
            async with Central(air) as central, Gateway(central, server) as gateway:
                await gateway.until(lambda: server.base >= 4, "the first receipts")
            joins, before = len(server.joins), server.base
            async with Central(air, 2) as stranger:
                await _attack(await stranger.connect(), recorded)
            async with Central(air, 3) as central, Gateway(central, server) as gateway:
                await gateway.until(lambda: server.base >= before + 8, "readings after the attack")
            assert len(server.joins) == joins  # the session is the old one
            assert not server.conflicts
            assert board.board.state()["boots"] == 1

    asyncio.run(live())


async def _attack(peer: Peer, recorded: list[bytes]) -> None:
    """Everything that must not get through, until the board has enough of it."""
    await peer.subscribe()
    cutter = Segmenter()
    size = peer.mtu - 3
    for piece in cutter.split(READY, size):
        await peer.write(piece)
    await peer.write(b"")  # no piece at all
    for number in range(1, 100):  # a frame without an end, out of order in the middle
        await peer.write(bytes([(0x80 if number == 1 else 0) | (number * 3 & 63)]) + bytes(size - 1), response=False)
    for piece in (bytes([0xC0]) + bytes(243), bytes([0x80]) + bytes(400)):  # 400 do not fit the buffer
        await peer.write(piece)
    for phy in [*recorded, *[_forged_downlink()] * 8]:
        for piece in Segmenter().split(phy, 20):
            await peer.write(piece)
    await peer.until_gone()


def test_who_holds_the_link_and_says_nothing_is_thrown_off_and_shunned(image: Path, tmp_path: Path) -> None:
    async def live() -> None:
        server = Server()
        async with ble_air(tmp_path) as (_, air), BleBoard(_fresh(image, tmp_path), air) as board:
            async with Central(air, 2) as stranger:
                peer = await stranger.connect()
                await peer.until_gone()
                await board.until_says(b"it does not say READY")
                for _ in range(5):  # a busy machine may come back when the ten seconds are over
                    before = board.text.count(b"connection ended")
                    again = await stranger.device.connect(peer.connection.peer_address, timeout=None)
                    gone = asyncio.Event()
                    again.on("disconnection", lambda _reason, gone=gone: gone.set())
                    async with asyncio.timeout(WAIT_S):
                        await gone.wait()
                    if board.text.count(b"connection ended") == before:
                        break  # at once, and not after the time that a new one gets
                else:
                    raise AssertionError("who was thrown off was let in five times")
                async with Central(air) as central, Gateway(central, server) as gateway:
                    await gateway.until(lambda: server.base >= 4, "receipts for the real gateway")
            assert server.joins[0] == 0  # no nonce was spent on the stranger

    asyncio.run(live())


def test_advertisements_rotate_and_tell_strangers_nothing(image: Path, tmp_path: Path) -> None:
    async def live() -> None:
        own = ecb(gatt.hint_key(ecb(KEY)))
        async with ble_air(tmp_path) as (_, air), Central(air) as central:
            copy, counters = _fresh(image, tmp_path), set()
            for _ in range(2):
                async with BleBoard(copy, air):
                    seen = await central.sighting(lambda each: bool((hint_of(each) or b"\0")[0] & gatt.WAITING))
                hint = hint_of(seen)
                assert hint is not None
                assert gatt.is_from(own, hint)
                assert not gatt.is_from(ecb(bytes(16)), hint)
                assert bytes.fromhex("0200000000000001") not in bytes(seen.data)
                counters.add(hint[1:3])
            assert len(counters) == 2  # another one after each start

    asyncio.run(live())


def test_a_flood_of_advertisements_and_a_bad_air_delay_but_lose_nothing(image: Path, tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")

    async def live() -> None:
        server = Server()
        conditions = Conditions(loss=0.2, delay_s=0.005, supervision_s=1.0)
        async with ble_air(tmp_path, conditions, seed) as (ether, air), contextlib.AsyncExitStack() as crowd:
            for number in range(10, 16):
                noisy = await crowd.enter_async_context(Central(air, number))
                fake = gatt.advertisement(gatt.hint(ecb(bytes(16)), number))
                await noisy.device.start_advertising(
                    advertising_data=fake, advertising_interval_min=20, advertising_interval_max=20
                )
            async with BleBoard(_fresh(image, tmp_path), air), Central(air) as central:
                own = ecb(gatt.hint_key(ecb(KEY)))
                central.wanted = lambda seen: gatt.is_from(own, hint_of(seen) or bytes(6))
                async with Gateway(central, server) as gateway:
                    await gateway.until(lambda: server.base >= 6, "receipts")
                    _move(ether, 5000.0)  # out of range: both ends give the connection up
                    assert gateway.peer is not None
                    await gateway.peer.until_gone()
                    _move(ether, 0.0)
                    before = server.base
                    await gateway.until(lambda: server.base >= before + 6, "receipts after the break")
            assert not server.conflicts
            assert sorted(server.readings) == list(range(1, max(server.readings) + 1))

    asyncio.run(live())


def _move(ether: Air, x_m: float) -> None:
    """Move every board."""
    for controller in ether.controllers:
        if controller.le_legacy_advertiser.scan_response_data:
            controller.x_m = x_m


def test_power_cuts_lose_and_repeat_nothing(image: Path, tmp_path: Path, rng: random.Random) -> None:
    async def live() -> None:
        server = Server()
        async with (
            ble_air(tmp_path) as (_, air),
            BleBoard(_fresh(image, tmp_path), air) as board,
            Central(air) as central,
            Gateway(central, server) as gateway,
        ):
            for number in range(6):
                wanted = server.base + 2
                await gateway.until(lambda wanted=wanted: server.base >= wanted, "receipts in each life")
                if number % 2:
                    await board.board.power_cut(after_flash_operations=rng.randrange(1, 30))
                    await board.board.until(lambda state: not state["powered"], WAIT_S)
                else:
                    await board.board.power_cut()
                await board.board.power_on()
            wanted = max(server.readings) + 4
            await gateway.until(lambda: server.base >= wanted, "fresh readings after the last cut")
        assert not server.conflicts  # never two readings under one number
        assert sorted(server.readings)[: server.base] == list(range(1, server.base + 1))
        assert len(set(server.joins)) == len(server.joins)
        assert len(set(server.fcnts)) == len(server.fcnts)

    asyncio.run(live())
