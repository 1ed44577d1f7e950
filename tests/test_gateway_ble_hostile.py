# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The Bluetooth link among strangers: segments that lead nowhere, places that are held, floods. Others are served.

On bleak's own BlueZ backend and the look-alike of BlueZ, as `test_gateway_ble_bluez`.
"""

import asyncio
import random
from dataclasses import replace

import pytest

from firmware.wire import gatt, segment
from gateway.errors import LinkBusy
from gateway.links import Uplink
from gateway.links.ble.connection import MAX_UNSENT_FRAMES
from gateway.links.ble.link import MAX_UNASKED
from gateway.links.ble.peers import MAX_PEERS
from tests.ble_rig import Board, Gateway, board
from tests.bluez_lookalike import LookAlike
from tests.test_gateway_ble_bluez import bus, frames, passes, run, system_bus

__all__ = ["bus", "system_bus"]  # fixtures

pytestmark = pytest.mark.timeout(600)


def test_pieces_that_fit_nothing_are_counted_and_cost_no_other_frame(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1, mtu=23)
        gateway = Gateway()
        async with LookAlike([one]), gateway.running():
            await passes(gateway, one, rng)
            before = len(gateway.heard)
            first, last = segment.FIRST, segment.LAST
            one.say(b"")  # nothing
            one.say(bytes([0x05]))  # neither first nor last, empty
            one.say(bytes([0x20]) + b"middle of nothing")
            good = rng.randbytes(60)
            one.send(good)
            pieces = list(segment.Segmenter().split(rng.randbytes(100), 20))
            for piece in (*pieces[:2], pieces[3], pieces[2], *pieces[4:]):  # swapped
                one.say(piece)
            one.say(bytes([first]) + b"never")
            for number in range(1, 40):  # a frame that never ends
                one.say(bytes([number & 0x3F]) + bytes(19))
            one.say(bytes([first | last]) + b"a whole short frame")
            await gateway.until(lambda: len(gateway.heard) == before + 2, "the two good frames")
            assert gateway.phys()[before:] == [good, b"a whole short frame"]
            assert gateway.counted("pieces_malformed") == 2
            assert gateway.counted("oversized") == 1
            assert gateway.counted("pieces_lost") >= 3
            await passes(gateway, one, rng)

    run(scenario())


def test_who_babbles_is_let_go(rng: random.Random) -> None:
    async def scenario() -> None:
        stranger, one = board(1), board(2)
        gateway = Gateway(connections=2)
        async with LookAlike([stranger, one]), gateway.running():
            await gateway.until(lambda: stranger.listened_to, "the stranger is connected")
            for _ in range(200):
                stranger.say(bytes([rng.choice([1, 9, 17, 33])]) + b"?")
            await gateway.until(lambda: gateway.counted("ended_babble"), "the stranger is let go")
            await passes(gateway, one, rng)

    run(scenario())


def test_frames_faster_than_a_board_can_mean_them_are_dropped(rng: random.Random) -> None:
    async def scenario() -> None:
        stranger = board(1)
        gateway = Gateway()
        async with LookAlike([stranger]), gateway.running():
            await gateway.until(lambda: stranger.listened_to, "the stranger is connected")
            for phy in frames(rng, 100):
                stranger.send(phy)
            await gateway.until(lambda: gateway.counted("too_fast") + len(gateway.heard) == 100, "all of them")
            assert len(gateway.heard) <= 40, "20 a second while nothing was answered"

    run(scenario())


def test_strangers_that_hold_every_place_make_room(rng: random.Random) -> None:
    async def scenario() -> None:
        strangers = [board(number) for number in range(1, 4)]
        one = board(9, advertising=False)
        gateway = Gateway(connections=3, prove_s=0.3, scan_s=0.2)
        async with LookAlike([*strangers, one]), gateway.running():
            await gateway.until(lambda: all(each.listened_to for each in strangers), "all places are held")
            one.advertising = True
            await passes(gateway, one, rng)
            assert gateway.counted("ended_turn") >= 1

    run(scenario())


def test_who_repeats_the_advertisement_of_a_device_does_not_keep_it_out(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1, advertising=False)
        parrot = Board("C0:00:00:00:FF:FF", one.hint)
        gateway = Gateway(prove_s=0.3, scan_s=0.2)
        async with LookAlike([parrot, one]), gateway.running():
            await gateway.until(lambda: parrot.listened_to, "the parrot is connected")
            one.advertising = True
            await passes(gateway, one, rng)
            assert gateway.link.status()["connected"] == 1, "one device, one place"

    run(scenario())


def test_who_says_to_be_another_device_at_a_connected_address_does_not_end_that_connection(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway(scan_s=0.2)
        async with LookAlike([one]), gateway.running():
            await passes(gateway, one, rng)
            known, other = gateway.link._peers, board(2).hint
            seen = known.get(one.address)
            assert seen is not None
            gateway.link._heard(replace(seen.sighting, hint=other))
            await gateway.until(lambda: known.get(one.address).who == other.hex(), "the other is believed")  # type: ignore[union-attr]
            for _ in range(3):
                await passes(gateway, one, rng)
            assert (one.connections, gateway.counted("connected")) == (1, 1)

    run(scenario())


def test_a_board_that_takes_nothing_is_busy_and_bounded(rng: random.Random) -> None:
    async def scenario() -> None:
        one = board(1)
        gateway = Gateway()
        async with LookAlike([one]), gateway.running():
            await passes(gateway, one, rng)
            with pytest.raises(LinkBusy, match="wait for the board"):
                for _ in range(MAX_UNSENT_FRAMES + 1):
                    await gateway.link.send(one.address, bytes(250))

    run(scenario())


def test_advertisements_that_say_nothing_are_nobodys(rng: random.Random) -> None:
    async def scenario() -> None:
        async def knows(hint: bytes) -> str | None:
            return "one" if hint == one.hint else None

        one = board(9, advertising=False)
        odd = [Board(f"C0:00:00:00:01:{n:02X}", rng.randbytes(length)) for n, length in enumerate((0, 1, 5, 6, 7, 20))]
        idle = board(3, flags=0)
        gateway = Gateway(knows)
        async with LookAlike([*odd, idle, one]), gateway.running():
            await gateway.until(lambda: gateway.counted("strangers") >= 20, "strangers")
            one.advertising = True
            await passes(gateway, one, rng)
            assert all(each.connections == 0 for each in [*odd, idle])

    run(scenario())


def test_a_flood_of_advertisements_is_bounded_and_others_are_served(rng: random.Random) -> None:
    async def scenario() -> None:
        async def knows(hint: bytes) -> str | None:
            await searched.wait()
            return "one" if hint == one.hint else None

        one, searched = board(1), asyncio.Event()
        searched.set()
        flood = [Board(f"C1:00:00:00:{n >> 8:02X}:{n & 255:02X}", rng.randbytes(6)) for n in range(600)]
        gateway = Gateway(knows)
        async with LookAlike([*flood, one]), gateway.running():
            await passes(gateway, one, rng)
            searched.clear()  # a register that is slower than the flood, on any computer
            await gateway.until(lambda: gateway.counted("not_looked_at"), "more than is looked at")
            assert len(gateway.link._unasked) <= MAX_UNASKED
            searched.set()
            await passes(gateway, one, rng)
            assert len(gateway.link._peers) == 1 <= MAX_PEERS
            assert sum(each.connections for each in flood) == 0

    run(scenario())


def test_more_boards_than_places_take_turns(rng: random.Random) -> None:
    async def scenario() -> None:
        boards = [board(number) for number in range(1, 13)]
        wanted = {each.address: frames(rng, 3) for each in boards}

        def answer(uplink: Uplink) -> None:
            asyncio.get_running_loop().create_task(gateway.link.send(uplink.address, b"receipt"))

        for each in boards:
            each.greeting = wanted[each.address]
        gateway = Gateway(connections=3, prove_s=0.3, turn_s=0.3, scan_s=0.2)
        gateway.on_frame = answer
        async with LookAlike(boards), gateway.running():
            await gateway.until(
                lambda: all(set(wanted[each.address]) <= set(gateway.phys(each.address)) for each in boards), "all"
            )
            assert max(each.connections for each in boards) <= 4, "nobody has many turns before others have one"

    run(scenario())


def test_alarms_come_first() -> None:
    async def scenario() -> None:
        boards = [board(number, flags=gatt.WAITING) for number in range(1, 6)]
        alarm = board(9, flags=gatt.WAITING | gatt.ALARM)
        gateway = Gateway(connections=1, prove_s=0.3, scan_s=0.2)
        async with LookAlike([*boards, alarm]), gateway.running():
            await gateway.until(lambda: alarm.connections, "the alarm's turn")
            assert sum(each.connections for each in boards) <= 1

    run(scenario())
