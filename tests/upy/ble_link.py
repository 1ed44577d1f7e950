# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board's Bluetooth link, alone and beside LoRa, on a stack and a clock that the test moves.

micropython tests/upy/ble_link.py SCENARIO      prints "ok" or a traceback
"""

import asyncio
import errno
import sys
import time

from firmware.node.ecb import ecb
from firmware.node.links import ble
from firmware.node.links.lora_ble import LoraBleLink
from firmware.wire import gatt
from firmware.wire.segment import READY, Segmenter

CONNECT, DISCONNECT, WRITE, MTU = 1, 2, 3, 21
FAST_US, SLOW_US = 100000, 1285000


class Clock:
    """What the link takes for ``time``."""

    def __init__(self, now=0):
        self.now = now

    def ticks_ms(self):
        return self.now

    ticks_add = staticmethod(time.ticks_add)
    ticks_diff = staticmethod(time.ticks_diff)


class Stack:
    """What the link takes for ``bluetooth``, and its ``BLE()`` too."""

    UUID = str

    def __init__(self):
        self.advertised = []  # (interval in us, flags, counter)
        self.sent = []
        self.value = b""
        self.refusals = []  # errors of the next notifications
        self.fails_to_advertise = 0
        self.ended = []
        self.set_buffer = None

    def BLE(self):  # noqa: N802  MicroPython's name
        return self

    def active(self, on):
        pass

    def config(self, **values):
        pass

    def irq(self, handler):
        self.happens = handler

    def gatts_register_services(self, services):
        return ((1, 2),)

    def gatts_set_buffer(self, handle, length):
        self.set_buffer = (handle, length)

    def gatts_read(self, handle):
        return self.value

    def gatts_notify(self, connection, handle, piece):
        if self.refusals:
            raise OSError(self.refusals.pop(0))
        self.sent.append(bytes(piece))

    def gap_disconnect(self, connection):
        self.ended.append(connection)

    def gap_advertise(self, interval_us, adv_data=None, resp_data=None):
        if self.fails_to_advertise:
            self.fails_to_advertise -= 1
            raise OSError(errno.EALREADY)
        assert len(adv_data) <= 31 and len(resp_data) <= 31
        hint = adv_data[-6:]
        self.advertised.append((interval_us, gatt.flags_of(hint), hint[1] | hint[2] << 8))


class World:
    """A link at work."""

    def __init__(self, now=0):
        self.clock = Clock(now)
        ble.time = self.clock
        self.stack = Stack()
        self.link = ble.BleLink(self.stack, ecb(bytes(16)))
        self.listening = asyncio.create_task(self.link.receive())

    async def turn(self):
        """Let the link keep house."""
        self.link._event.set()
        await asyncio.sleep_ms(0)
        await asyncio.sleep_ms(5)

    async def after(self, ms):
        """Pass time, a second at a time, as the link's own tick does."""
        end = self.clock.now + ms
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + 1000)
            self.link._keep_house()
        await asyncio.sleep_ms(0)

    def write(self, value, connection=1):
        self.stack.value = value
        self.stack.happens(WRITE, (connection, 2))

    async def connect(self, connection=1, address=b"\x01" * 6, ready=True):
        self.stack.happens(CONNECT, (connection, 0, memoryview(address)))
        self.stack.happens(MTU, (connection, 247))
        if ready:
            for piece in Segmenter().split(READY, 244):
                self.write(piece, connection)
        await self.turn()


async def scenario_it_advertises_fast_while_it_pays_and_slowly_else():
    world = World()
    await world.turn()
    assert world.stack.advertised[-1][:2] == (FAST_US, 0), world.stack.advertised
    await world.after(31000)
    assert world.stack.advertised[-1][:2] == (SLOW_US, 0)
    fruitless = 1
    for _ in range(8):  # readings wait, and nobody comes
        world.link.away(True, False)
        await world.after(1000)
        fruitless += world.stack.advertised[-1][:2] == (FAST_US, gatt.WAITING)
        await world.after(60000)
        assert world.stack.advertised[-1][:2] == (SLOW_US, gatt.WAITING)
    assert fruitless == 4, fruitless
    await world.connect()  # somebody came: it pays again
    world.stack.happens(DISCONNECT, (1, 0, memoryview(bytes(6))))
    await world.turn()
    await world.after(31000)
    world.link.away(True, False)
    await world.after(1000)
    assert world.stack.advertised[-1][:2] == (FAST_US, gatt.WAITING)


async def scenario_an_alarm_is_advertised_at_once_and_fast_even_when_nobody_came_before():
    world = World()
    for _ in range(10):
        world.link.away(True, False)
        await world.after(61000)
    assert world.stack.advertised[-1][:2] == (SLOW_US, gatt.WAITING)
    world.link.away(True, True)
    await world.turn()
    assert world.stack.advertised[-1][:2] == (FAST_US, gatt.WAITING | gatt.ALARM)
    count = len(world.stack.advertised)
    for _ in range(5):  # told again, it is the same alarm
        world.link.away(True, True)
        await world.after(10000)
    assert world.stack.advertised[-1][:2] == (SLOW_US, gatt.WAITING | gatt.ALARM)
    assert len(world.stack.advertised) == count + 1
    world.link.away(False, False)
    await world.turn()
    assert world.stack.advertised[-1][1] == 0


async def scenario_the_hint_moves_on_and_ticks_that_wrap_change_nothing():
    world = World(time.ticks_add(0, -100000))  # a hundred seconds before they begin anew
    await world.turn()
    first = world.stack.advertised[-1][2]
    world.clock.now = 100000
    world.link._keep_house()
    assert world.stack.advertised[-1][0] == SLOW_US
    await world.after(800000)
    assert world.stack.advertised[-1][2] == (first + 1) & 0xFFFF
    await world.after(1800000)
    assert world.stack.advertised[-1][2] == (first + 3) & 0xFFFF


async def scenario_a_full_radio_is_waited_for_and_a_stuck_one_given_up():
    world = World()
    await world.turn()
    await world.connect()
    assert world.stack.set_buffer == (2, 244)  # not the 20 bytes of before, which cut off in silence
    world.stack.refusals = [errno.ENOMEM, errno.EAGAIN, errno.ENOMEM]
    await world.link.send(bytes(250))
    assert len(world.stack.sent) == 2 and world.link.unsent == 0  # pieces of 244 and the rest
    world.stack.refusals = [errno.ENOMEM] * 1000
    sending = asyncio.create_task(world.link.send(bytes(50)))
    await asyncio.sleep_ms(50)
    assert not sending.done()
    world.clock.now += 6000
    await sending
    assert world.link.unsent == 1 and world.stack.ended == [1] and not world.link.reachable
    world.stack.refusals = []
    await world.link.send(bytes(50))
    assert world.link.unsent == 2 and len(world.stack.sent) == 2  # nobody there: nothing leaves


async def scenario_a_connection_that_ends_in_the_middle_of_a_frame_costs_this_frame():
    world = World()
    await world.turn()
    await world.connect()
    world.stack.refusals = [errno.ENOTCONN] * 1000
    sending = asyncio.create_task(world.link.send(bytes(50)))
    await asyncio.sleep_ms(30)
    world.stack.happens(DISCONNECT, (1, 0, memoryview(bytes(6))))
    await sending
    assert world.link.unsent == 1 and world.link.thrown_off == 0


async def scenario_advertising_that_fails_is_tried_again():
    world = World()
    world.stack.fails_to_advertise = 5
    await world.turn()
    assert not world.stack.advertised
    await world.after(5000)
    assert world.stack.advertised and not world.stack.fails_to_advertise


async def scenario_what_waits_is_bounded_and_a_second_central_is_turned_away():
    world = World()
    await world.turn()
    await world.connect()
    world.listening.cancel()
    cutter = Segmenter()
    for _ in range(50):  # nobody takes them
        for piece in cutter.split(bytes(30), 244):
            world.write(piece)
    assert len(world.link._frames) == 4 and world.link.overrun == 46
    world.stack.happens(CONNECT, (2, 0, memoryview(b"\x02" * 6)))
    assert world.stack.ended == [2] and world.link._peer[0] == 1
    world.write(b"\xc0" + bytes(10), 2)  # of the other one
    assert world.link.overrun == 46


async def scenario_strangers_are_shunned_and_the_list_of_them_does_not_grow():
    world = World()
    await world.turn()
    for number in range(20):
        await world.connect(number, bytes([number]) * 6)
        await world.after(31000)
        assert world.stack.ended == list(range(number + 1)), world.stack.ended
        assert len(world.link._shunned) <= 4
    await world.connect(99, bytes([19]) * 6)  # again, within the minute
    assert world.stack.ended[-1] == 99 and not world.link.reachable
    await world.connect(100, bytes([5]) * 6)  # long forgotten
    assert world.stack.ended[-1] == 99 and world.link.reachable


class Far:
    """What stands for the radio, its rules and the network."""

    rejoin_after = 16
    reply_timeout_ms = 20000
    max_payload = 51
    unsent = 0

    def __init__(self, clock):
        self.now_ms = clock.ticks_ms
        self.layer = self
        self.sent = []
        self.reroutes = 0

    def attach(self, network):
        pass

    def rerouted(self):
        self.reroutes += 1

    async def send(self, phy):
        self.sent.append(phy)

    async def receive(self):
        await asyncio.sleep(3600)


def two_links():
    world = World()
    world.listening.cancel()
    far = Far(world.clock)
    link = LoraBleLink(far, world.link)
    link.attach(far)
    world.listening = asyncio.create_task(link.receive())
    return world, far, link


async def scenario_a_gateway_that_falls_silent_is_asked_and_given_up_for_lora():
    world, far, link = two_links()
    await world.turn()
    assert not link.near and link.max_payload == 51
    await link.send(b"on air")
    await world.connect()
    assert link.near and far.reroutes == 1 and link.max_payload == 222
    await link.send(b"near")
    assert far.sent == [b"on air"] and len(world.stack.sent) == 1
    link.judged(True)
    for _ in range(20):  # an answer now and then: nothing is asked
        await world.after(50000)
        assert not link.doubtful
        await link.send(b"near")
        link.judged(True)
    assert not world.stack.ended
    await world.after(61000)
    assert link.doubtful
    await link.send(b"asks")
    await world.after(5000)
    await link.send(b"asks again")
    assert not world.stack.ended
    await world.after(6000)
    assert world.stack.ended == [1]
    await world.turn()
    assert not link.near and far.reroutes == 2
    await link.send(b"on air again")
    assert far.sent[-1] == b"on air again"
    await world.after(61000)
    await world.connect(2)  # it was a gateway: it is believed at once
    assert link.near


async def scenario_who_was_no_gateway_makes_the_next_wait_ever_longer():
    world, _far, link = two_links()
    await world.turn()
    silenced_ms = 0
    for number in range(30):  # ten minutes of somebody with ever new addresses
        begun = world.clock.now
        await world.connect(number, bytes([number + 1]) * 6)
        near = link.near
        await world.after(20000)
        if near:
            silenced_ms += 10000
        assert world.clock.now - begun == 20000
        await world.turn()
        assert not link.near
    assert 20000 <= silenced_ms <= 50000, silenced_ms
    await world.after(3600000)
    await world.connect(100, b"gatewa")
    assert link.near
    link.judged(True)
    world.stack.happens(DISCONNECT, (100, 0, memoryview(b"gatewa")))
    await world.turn()
    await world.connect(101, b"gatewa")
    assert link.near  # a gateway it was, and there is trust again


if __name__ == "__main__":
    asyncio.run(globals()["scenario_" + sys.argv[1]]())
    print("ok")
