# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The whole node against a small network, under MicroPython on littlefs.

micropython tests/upy/node_app.py SCENARIO SEED      prints "ok" or a traceback
"""

import asyncio
import sys

from firmware.node.store import Slots
from firmware.wire import readings
from firmware.wire.errors import Replayed
from firmware.wire.frame import CONFIRMED_UP
from tests.upy.node_world import World
from tests.upy.small_network import UNIX_MS


def received(world, count):
    return lambda: len(world.server.readings) >= count


def settled(world, count):
    """So many readings arrived, and the node knows it of all but the last few."""
    return lambda: len(world.server.readings) >= count and world.node.queue.held() <= 8


async def scenario_delivers_every_reading_with_its_time(seed):
    world = World(seed)
    await world.until(settled(world, 40), "40 readings")
    world.check()
    assert world.server.refused == 0 and world.server.joins == [0]
    timed = [item[1] for item in world.server.readings.values() if 1 in item]
    assert len(timed) > 35 and min(timed) >= UNIX_MS // 1000 - 1 and max(timed) < UNIX_MS // 1000 + 60
    frames_per_reading = len(world.link.sent) / len(world.server.readings)
    assert frames_per_reading < 1.3, frames_per_reading


async def scenario_a_long_reading_becomes_two_that_fit_the_smallest_frame(seed):
    world = World(seed, kind="traffic")
    names = ("count_a", "count_b", "heavy_a", "heavy_b", "two_wheel_a", "two_wheel_b", "interval_s")
    large = {name: 65000 for name in names}
    large.update({"speed_mean_kmh": 200, "speed_p85_kmh": 220, "above_limit_pct": 99, "occupancy_pct": 99})
    made = []

    async def measure():
        made.append(1)
        return dict(large, day_count_a=1000000, day_count_b=1000000 + len(made))

    world.role.measure = measure
    world.link.max_payload = 51
    await world.until(lambda: len(world.server.readings) >= 24, "24 readings")
    assert max(world.link.sent) <= 51 + 13, world.link.sent
    measured = [item for item in world.server.readings.values() if any([2 < key < 99 for key in item])]
    whole = [item for item in measured if 4 in item and 9 in item]
    assert len(measured) > 18 and not whole, measured
    assert abs(sum([4 in item for item in measured]) - sum([9 in item for item in measured])) <= 1


async def scenario_lost_downlinks(seed):
    world = World(seed)
    world.link.mangle_down = lambda phy: [] if world.random.chance(50) else [phy]
    await world.until(settled(world, 60), "60 readings")
    world.check()


async def scenario_lost_uplinks(seed):
    world = World(seed)
    world.link.mangle_up = lambda phy: [] if world.random.chance(40) else [phy]
    await world.until(lambda: world.server.base >= 60, "60 readings without a gap")
    world.check()


async def scenario_duplicated_frames(seed):
    world = World(seed)
    world.link.mangle_down = lambda phy: [phy, phy]
    world.link.mangle_up = lambda phy: [phy, phy]
    await world.until(settled(world, 40), "40 readings")
    world.check()
    assert world.node.network.refused > 5  # the second copies


async def scenario_corrupt_frames(seed):
    world = World(seed)

    def mangle(phy):
        if not world.random.chance(30):
            return [phy]
        bad = bytearray(phy)
        bad[world.random.below(len(bad))] ^= 1 + world.random.below(255)
        return [bytes(bad)[: 1 + world.random.below(len(bad))], b"", b"\x03\x03noise"]

    world.link.mangle_up = world.link.mangle_down = mangle
    await world.until(settled(world, 60), "60 readings")
    world.check()


async def scenario_a_network_that_lost_the_session_is_joined_again(seed):
    world = World(seed)
    await world.until(settled(world, 12), "12 readings")
    world = World(seed, world.server, world.files, world.role)
    world.server.session = None
    await world.until(settled(world, 60), "60 readings")
    assert len(world.server.joins) == 2
    world.check()


async def scenario_a_network_that_cannot_store_is_not_joined_again(seed):
    world = World(seed)
    await world.until(settled(world, 8), "8 readings")
    world = World(seed, world.server, world.files, world.role)
    world.server.receipts = False  # its disk is full
    await world.until(lambda: world.server.links_checked >= 9, "9 repeated requests")
    assert len(world.server.joins) == 1
    assert world.node.queue.held() > 0
    world.server.receipts = True
    world = World(seed, world.server, world.files, world.role)
    await world.until(settled(world, world.role.made + 8), "all of them")
    world.check()


async def scenario_nothing_is_lost_while_the_gateway_is_away(seed):
    world = World(seed)
    await world.until(settled(world, 8), "8 readings")
    world = World(seed, world.server, world.files, world.role)
    world.server.deaf = True
    await world.until(lambda: world.role.made >= 80, "80 readings made")
    world.server.deaf = False
    world = World(seed, world.server, world.files, world.role)
    await world.until(settled(world, 90), "all of them")
    assert len(world.server.joins) == 1  # the session was kept
    world.check()


async def scenario_reboots_keep_session_counters_and_numbers(seed):
    world = World(seed)
    for life in range(6):
        goal = len(world.server.readings) + 9
        await world.until(received(world, goal), "readings in life %d" % life)
        world = World(seed, world.server, world.files, world.role)
    await world.until(settled(world, len(world.server.readings) + 4), "the end")
    world.check()
    assert world.server.joins == [0]
    assert sorted(world.server.readings) == list(range(1, len(world.server.readings) + 1))  # not one number left out


async def scenario_before_the_time_is_known_readings_carry_their_age(seed):
    world = World(seed)
    world.server.times = False
    await world.until(settled(world, 10), "10 readings")
    assert all(1 not in item and 0 <= item[2] < 60 for item in world.server.readings.values())


async def scenario_readings_of_a_boot_without_time_carry_neither_after_it(seed):
    world = World(seed)
    world.server.deaf = True
    await world.until(lambda: world.role.made >= 10, "10 readings made")
    world.server.deaf = False
    world = World(seed, world.server, world.files, world.role)
    await world.until(settled(world, 20), "20 readings")
    old = [world.server.readings[seq] for seq in range(1, 10)]
    assert all(1 not in item and 2 not in item for item in old), old
    world.check()


async def scenario_time_is_given_to_readings_made_before_it_was_known(seed):
    world = World(seed)
    world.server.deaf = True
    task = asyncio.create_task(world.until(settled(world, 30), "30 readings"))
    while world.role.made < 5:
        await asyncio.sleep_ms(5)
    world.server.deaf = False
    await task
    times = [world.server.readings[seq].get(1) for seq in range(10, 30)]
    assert all(t is not None for t in times) and times == sorted(times), times


async def scenario_a_recorded_join_accept_is_refused(seed):
    world = World(seed)
    recorded = []

    def record(phy):
        recorded.append(phy)
        return [phy]

    world.link.mangle_down = record
    await world.until(settled(world, 8), "8 readings")
    world = World(seed, world.server, world.files, world.role)
    world.node.network._mac.leave()
    world.link.mangle_down = lambda phy: [recorded[0]] if phy[0] == 0x20 else [phy]
    await world.until(lambda: world.node.network.refused >= 2, "two refusals")
    assert world.node.network._mac.session is None
    world.link.mangle_down = lambda phy: [phy]
    world = World(seed, world.server, world.files, world.role)
    await world.until(settled(world, world.role.made + 4), "a new session")
    world.check()


async def scenario_a_recorded_downlink_is_refused_after_a_reboot(seed):
    world = World(seed)
    recorded = []

    def record(phy):
        recorded.append(phy)
        return [phy]

    world.link.mangle_down = record
    await world.until(settled(world, 8), "8 readings")
    assert len(recorded) >= 3
    world = World(seed, world.server, world.files, world.role)
    for phy in recorded[1:]:
        try:
            world.node.network._mac.open(phy)
        except Replayed:
            continue
        raise AssertionError("taken a second time")


async def scenario_confirmed_downlinks_are_acknowledged(seed):
    world = World(seed)
    world.server.confirm = True
    await world.until(settled(world, 20), "20 readings")
    assert world.server.acks >= 3
    world.check()


async def scenario_lost_nonces_silence_the_board_but_keep_its_readings(seed):
    world = World(seed)
    await world.until(settled(world, 8), "8 readings")
    for slot in ("nonce.a", "nonce.b"):
        world.files.remove(slot)
    for _ in range(2):  # the second boot must not take what the first one wrote for healthy
        world = World(seed, world.server, world.files, world.role)
        made = world.role.made
        await world.until(lambda: world.role.made >= made + 5, "5 more readings made")  # noqa: B023
    assert not world.link.sent
    assert world.node.queue.held() >= 10
    world.check()


async def scenario_used_up_nonces_end_in_silence_not_in_reuse(seed):
    world = World(seed)
    world.node.network._mac._nonce.jump(65535)
    world.link.mangle_down = lambda phy: []
    await world.until(lambda: world.node.network._mac is None, "the end of the nonces")
    assert world.server.joins == [65535]
    assert len(world.link.sent) == 1


async def scenario_a_wiped_board_under_its_old_identity_loses_nothing(seed):
    world = World(seed)
    world.server.base = 5000
    await world.until(settled(world, 30), "30 readings")
    world.check()
    assert min(seq for seq in world.server.readings if seq > 5000) == 5001


async def scenario_a_rotten_session_record_means_new_keys(seed):
    world = World(seed)
    await world.until(settled(world, 8), "8 readings")
    world.files.write("session.a", b"rotten")
    world = World(seed, world.server, world.files, world.role)
    await world.until(settled(world, 20), "20 readings")
    assert len(world.server.joins) == 2
    world.check()


async def scenario_a_small_frame_limit_is_kept(seed):
    world = World(seed)
    world.link.max_payload = 51
    await world.until(settled(world, 40), "40 readings")
    assert max(world.link.sent) <= 51 + 13 + 15
    world.check()


async def scenario_old_and_new_readings_share_a_way_without_receipts(seed):
    world = World(seed)
    await world.until(settled(world, 8), "8 readings")
    world = World(seed, world.server, world.files, world.role)
    world.link.mangle_down = lambda phy: []
    first_new = world.role.made + 1
    await world.until(lambda: len(world.link.sent) >= 14, "14 frames")
    assert max(world.server.readings) >= first_new + 10  # new ones get through although nobody answers
    assert Slots(world.files, "nonce").payload is not None
    assert readings.FPORT_READINGS == 1


async def scenario_an_alarm_goes_at_once_and_until_it_is_held(seed):
    world = World(seed, interval_ms=3600000)
    world.server.receipts = False  # the acknowledgement alone must do
    await world.until(lambda: world.server.readings, "the first reading")
    world = World(seed, world.server, world.files, world.role, interval_ms=3600000)
    lost = []

    def lose(phy):
        lost.append(phy)
        return [] if phy[0] >> 5 == CONFIRMED_UP and len(lost) < 6 else [phy]

    world.link.mangle_up = lose

    async def ring():
        await asyncio.sleep_ms(50)
        world.role.alarm()

    ringing = asyncio.create_task(ring())
    await world.until(lambda: world.server.alarms, "an alarm")
    await ringing
    numbers, confirmed = world.server.alarms[0]
    assert confirmed and numbers == [world.role.made], (numbers, world.role.made)
    assert len(lost) >= 6
    world.check()


async def scenario_an_alarm_that_a_power_cut_stops_is_delivered_all_the_same(seed):
    world = World(seed, interval_ms=3600000)
    await world.until(settled(world, 1), "a session")
    world.server.deaf = True
    world = World(seed, world.server, world.files, world.role, interval_ms=3600000)
    world.role.alarm()
    await world.until(lambda: world.role.made >= 3, "an alarm that nobody hears")
    world.server.deaf = False
    world = World(seed, world.server, world.files, world.role, interval_ms=3600000)
    await world.until(lambda: world.role.made in [item[6] for item in world.server.readings.values()], "its reading")
    world.check()


async def scenario_a_task_that_misses_its_cancellation_is_ended_all_the_same(seed):
    world = World(seed)
    turns = []

    async def deaf_once():
        try:
            await asyncio.sleep_ms(60000)
        except asyncio.CancelledError:  # as wait_for does when its time is over at the same moment
            pass
        while True:
            await asyncio.sleep_ms(5)
            turns.append(1)

    world.node.network.uplink = deaf_once
    await world.until(lambda: world.role.made >= 2, "two readings made")
    ended = len(turns)
    await asyncio.sleep_ms(100)
    assert len(turns) == ended, "it runs on after its node"


if __name__ == "__main__":
    asyncio.run(globals()["scenario_" + sys.argv[1]](int(sys.argv[2])))
    print("ok")
