# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Settings, commands, maintenance and the report about the board, under MicroPython on littlefs.

micropython tests/upy/node_service.py SCENARIO SEED      prints "ok" or a traceback
"""

import asyncio
import gc
import sys

from firmware.node import boots, service
from firmware.node.settings import Settings
from firmware.wire import cbor, kinds, requests
from firmware.wire.kinds import common, common_controls, street_light_controls
from firmware.wire.readings import FPORT_COMMANDS, FPORT_SETTINGS
from tests.upy.node_world import RamFlash, Role, World, mount, stop

service._FIRST_REPORT_MS = 200
MODULES = (common_controls, street_light_controls)
KEYS = {entry[0]: entry[1] for module in MODULES for entry in module.SETTINGS}
FIELDS = {field[0]: field[1] for field in common.FIELDS}


class AlarmingRole(Role):
    """Tells what a test puts into it."""

    def __init__(self):
        super().__init__()
        self.urgent = {}
        self.commands = []

    def alarms(self):
        urgent, self.urgent = self.urgent, {}
        return urgent

    def command(self, name, values):
        self.commands.append((name, values))
        return requests.DONE

    async def self_test(self):
        return {"lamp": common_controls.WORKS, "meter": common_controls.BROKEN}

    async def status(self):
        return {"illuminance_lx": 12}


class Running:
    """``async with Running(world) as until:`` lets a node work; ``await until(condition, what)`` waits."""

    def __init__(self, world):
        self._world = world

    async def __aenter__(self):
        self._task = asyncio.create_task(self._world.node.run())
        return self._until

    async def __aexit__(self, *error):
        await stop(self._world.node, self._task)

    async def _until(self, condition, what):
        for _ in range(4000):
            if condition():
                return
            await asyncio.sleep_ms(5)
        raise AssertionError("never: " + what)


async def asked(world, fport, *payloads):
    """Let the node join, bring it requests, and return the answers."""
    told = []

    def condition():
        if world.server.session is None or not world.server.readings or not world.node.clock.is_set():
            return False
        if len(told) < len(payloads) and len(world.server.answers) >= len(told):
            world.link.put(world.server.ask(fport, payloads[len(told)]))
            told.append(1)
        return len(world.server.answers) >= len(payloads)

    await world.until(condition, "%d answers" % len(payloads))
    return [answer for port, answer in world.server.answers if port == fport]


async def scenario_settings_are_taken_reported_and_survive(seed):
    world = World(seed, interval_ms=200)
    values = {
        KEYS["fade_ms"]: 1500,
        KEYS["interval_s"]: 300,
        KEYS["program_0"]: [31, [[1, -10, 80], [0, 60, 40], [2, 5, 0]]],
    }
    (answer,) = await asked(world, FPORT_SETTINGS, requests.settings(7, values))
    assert answer[requests.ID] == 7 and answer[requests.STATUS_KEY] == requests.DONE
    assert answer[requests.VALUES] == values, answer
    again = Settings(world.files, "street_light")
    assert not again.damaged and again["fade_ms"] == 1500 and again.crc() == answer[requests.CRC]
    assert again["program_0"][1][1] == [0, 60, 40] and again.changed() == sorted(values)


async def scenario_a_request_with_one_bad_value_changes_nothing(seed):
    world = World(seed, interval_ms=200)
    good = {KEYS["fade_ms"]: 1}
    answers = await asked(
        world,
        FPORT_SETTINGS,
        requests.settings(1, {KEYS["fade_ms"]: 1, KEYS["min_dim_pct"]: 51}),
        requests.settings(2, {KEYS["fade_ms"]: 1, 99: 0}),
        requests.settings(3, {KEYS["on_below_lx"]: 80, KEYS["off_above_lx"]: 80}),
        requests.settings(4, {KEYS["fade_ms"]: True}),
        cbor.dumps({0: 5, 9: 1}),
        requests.settings(6, good),
        requests.defaults(7),
    )
    got = [(answer[0], answer[1], answer.get(requests.REFUSED)) for answer in answers]
    assert got == [
        (1, requests.INVALID, KEYS["min_dim_pct"]),
        (2, requests.UNKNOWN, 99),
        (3, requests.CONTRADICTION, KEYS["off_above_lx"]),
        (4, requests.INVALID, KEYS["fade_ms"]),
        (5, requests.MALFORMED, None),
        (6, requests.DONE, None),
        (7, requests.DONE, None),
    ], got
    empty = answers[0][requests.CRC]
    assert [answer[requests.CRC] == empty for answer in answers] == [True, True, True, True, True, False, True]
    assert Settings(world.files, "street_light").changed() == []


async def scenario_a_long_report_comes_in_frames_that_fit_the_slowest_rate(seed):
    world = World(seed, interval_ms=200)
    steps = [[0, minute, 50] for minute in range(0, 1000, 200)]
    values = {KEYS["program_%d" % n]: [127, steps] for n in range(1, 4)}
    world.node.service.settings.apply(values)
    world.node.service.settings.apply({KEYS["fade_ms"]: 77, KEYS["hot_c"]: 80})
    some = [KEYS["fade_ms"], KEYS["hot_c"], KEYS["low_v"]]
    async with Running(world) as until:
        await until(lambda: world.server.session is not None and world.server.readings, "a session")
        world.link.put(world.server.ask(FPORT_SETTINGS, requests.ask_settings(9, some)))
        world.link.put(world.server.ask(FPORT_SETTINGS, requests.ask_settings(10, [])))
        await until(lambda: len(merged(world.server.answers)) >= 6, "all values")
    assert merged(world.server.answers)[KEYS["program_2"]] == values[KEYS["program_2"]]
    longest = max(len(cbor.dumps(answer)) for _, answer in world.server.answers)
    assert longest <= 51, longest


def merged(answers):
    found = {}
    for _, answer in answers:
        found.update(answer.get(requests.VALUES, {}))
    return found


async def scenario_commands(seed):
    role = AlarmingRole()
    world = World(seed, role=role, interval_ms=200)
    world.node.service.settings.apply({KEYS["groups"]: [4, 9]})
    dim = {0: 40, 1: 30}
    far, past = 1900000000, 1700000000
    answers = await asked(
        world,
        FPORT_COMMANDS,
        requests.command(1, 20, dim),
        requests.command(2, 20, {0: 101}),
        requests.command(3, 20, {0: 1, common_controls.GROUP: 9}),
        requests.command(4, 20, {0: 1, common_controls.GROUP: 5}),
        requests.command(5, 20, {0: 1, common_controls.NOT_AFTER: past}),
        requests.command(6, 20, {0: 2, common_controls.NOT_AFTER: far}),
        requests.command(7, 99, {}),
        requests.command(8, 20, {7: 1}),
        requests.command(9, 2, {}),
    )
    assert [answer[1] for answer in answers] == [
        requests.DONE,
        requests.INVALID,
        requests.DONE,
        requests.NOT_MEANT,
        requests.EXPIRED,
        requests.DONE,
        requests.UNKNOWN,
        requests.UNKNOWN,
        requests.DONE,
    ], answers
    assert role.commands == [("dim", {"percent": 40, "minutes": 30}), ("dim", {"percent": 1}), ("dim", {"percent": 2})]
    results = answers[-1][requests.RESULTS]
    assert (
        results[0] == common_controls.WORKS
        and results[1] == common_controls.WORKS
        and results[2] == common_controls.ABSENT
    )
    assert (
        results[8] == common_controls.WORKS
        and results[10] == common_controls.BROKEN
        and results[13] == common_controls.ABSENT
    )
    assert world.node.service.failed == 1 << 10
    assert "firmware.node.desk" not in sys.modules and "firmware.node.status" not in sys.modules


class FlakyRole(Role):
    """Its range finder misses so many answers."""

    def __init__(self, misses):
        super().__init__()
        self.left, self.asked = misses, 0

    async def self_test(self):
        self.left, self.asked = self.left - 1, self.asked + 1
        part = common_controls.BROKEN if self.left >= 0 else common_controls.WORKS
        return {"lamp": common_controls.WORKS, "meter": part}


async def scenario_a_part_that_misses_an_answer_or_two_is_not_broken(seed):
    for misses, asked_times, verdict in ((0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 3, 1), (9, 3, 1)):
        role = FlakyRole(misses)
        world = World(seed, role=role)
        results = await world.node.service.self_test()
        assert (results[10], results[8], role.asked) == (verdict, 0, asked_times), (misses, results, role.asked)
        assert world.node.service.failed & 1 << 10 == verdict << 10


async def scenario_alarms_do_not_wait_and_maintenance_holds_them_back(seed):
    role = AlarmingRole()
    world = World(seed, role=role, interval_ms=3600000)
    async with Running(world) as until:
        role.urgent = {"voltage_v": 270.0}
        await until(lambda: 2700 in told(world, 9), "an alarm")
        world.node.service.maintain(10)
        role.urgent = {"voltage_v": 271.0}
        await until(lambda: not role.urgent, "the alarm is taken")
        world.node.service.maintain(0)
        role.urgent = {"voltage_v": 272.0}
        await until(lambda: 2720 in told(world, 9), "the next alarm")
        assert 2710 not in told(world, 9)


def told(world, key):
    return [item[key] for item in world.server.readings.values() if key in item]


async def scenario_the_board_reports_itself(seed):
    world = World(seed, role=AlarmingRole())
    keys = list(FIELDS.values())
    await world.until(lambda: 12 in told(world, 8) and all(told(world, key) for key in keys), "a whole report")
    one = {key: told(world, key)[0] for key in FIELDS.values()}
    assert one[FIELDS["boots"]] == 1 and one[FIELDS["supply_failures"]] == 0
    assert one[FIELDS["firmware_version"]] == 100 and one[FIELDS["settings_damaged"]] is False
    assert one[FIELDS["selftest_failed"]] & 1 << 10  # the role's meter
    world = World(seed, world.server, world.files, world.role)
    async with Running(world) as until:
        await until(lambda: 2 in told(world, FIELDS["boots"]), "the second boot's report")
        before = len(told(world, FIELDS["boots"]))
        world.link.put(world.server.ask(FPORT_COMMANDS, requests.command(3, 1, {})))
        await until(lambda: len(told(world, FIELDS["boots"])) > before, "a report that was asked for")
    smallest = max(len(cbor.dumps(item)) for item in world.server.readings.values())
    assert smallest <= 49, smallest


async def scenario_a_clock_that_nobody_has_told_the_time_yet_is_no_failure(seed):
    world = World(seed)
    service, clock = world.node.service, world.node.clock
    bit = dict(common_controls.COMPONENTS)["clock"]
    assert (await service.self_test())[bit] == common_controls.WAITS
    assert not service.failed & 1 << bit
    clock._elapsed_ms += 3600000
    assert (await service.self_test())[bit] == common_controls.BROKEN
    assert service.failed & 1 << bit
    assert clock.set(1800000000000, clock.monotonic_ms())
    assert (await service.self_test())[bit] == common_controls.WORKS
    assert not service.failed & 1 << bit


class Causes:
    """A machine module that tells one reset after the other."""

    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
    now = 1

    @classmethod
    def reset_cause(cls):
        return cls.now


async def scenario_boots_are_counted_by_their_cause(seed):
    files = World(seed).files
    files.remove("boots.a")
    files.remove("boots.b")
    real, boots.machine = boots.machine, Causes
    try:
        told = []
        for Causes.now in (1, 1, 3, 3, 2, 4, 5, 1):
            told.append(boots.count_boot(files))
    finally:
        boots.machine = real
    assert [each[0] for each in told] == [1, 1, 3, 3, 2, 4, 5, 1], told  # the reason
    assert [each[1] for each in told] == [1, 2, 3, 4, 5, 6, 7, 8], told  # how often it started
    assert [each[2] for each in told] == [0, 1, 1, 1, 1, 1, 1, 2], told  # the supply failed: a power-on after the first
    assert [each[3] for each in told] == [0, 0, 1, 2, 2, 2, 2, 2], told  # the watchdog


class TornFlash(RamFlash):
    """A write that is cut leaves its first bytes only: less than a small record."""

    def _stored(self, size):
        stored = super()._stored(size)
        return stored if stored == size else stored // 32


async def scenario_settings_survive_a_cut_at_every_flash_operation(seed):
    first, second = {KEYS["fade_ms"]: 100, KEYS["hot_c"]: 70}, {KEYS["fade_ms"]: 200, KEYS["hot_c"]: 71}
    cut, content, seen = 0, RamFlash(16).content, set()
    while True:
        gc.collect()
        content[:] = b"\xff" * len(content)
        flash = TornFlash(content=content)
        files = mount(flash)
        assert Settings(files, "street_light").apply(first)[0] == requests.DONE
        flash.writes, flash.cut = 0, cut
        status = Settings(files, "street_light").apply(second)[0]
        through = flash.writes <= cut
        flash.cut = None
        after = Settings(mount(flash, False), "street_light")
        pair = (after["fade_ms"], after["hot_c"])
        assert after.damaged is False and pair in ((100, 70), (200, 71)), (cut, pair)
        assert status == requests.NOT_STORED or pair == (200, 71), (cut, status, pair)
        seen.add(pair)
        if through:
            break
        cut += 1
    assert cut > 0 and len(seen) == 2, (cut, seen)


async def scenario_damaged_settings_are_defaults_and_say_so(seed):
    files = mount(RamFlash())
    Settings(files, "street_light").apply({KEYS["fade_ms"]: 100})
    for slot in ("settings.a", "settings.b"):
        raw = bytearray(files.read(slot))
        raw[12] ^= 1
        files.write(slot, bytes(raw))
    damaged = Settings(files, "street_light")
    assert damaged.damaged and damaged["fade_ms"] == 3000
    assert damaged.apply({KEYS["hot_c"]: 90})[0] == requests.DONE and not damaged.damaged
    assert Settings(files, "street_light").changed() == [KEYS["hot_c"]]
    for payload in (b"\xa1\x18\x1d\x00" + b"\x01", cbor.dumps({29: -1}), cbor.dumps({98: 1}), cbor.dumps([1]), b"\xff"):
        settings = Settings(files, "street_light")
        settings._slots.write(payload)
        assert Settings(files, "street_light").damaged, payload


async def scenario_every_default_is_possible(seed):
    for module in MODULES:
        for name, key, _shape, default in module.SETTINGS:
            assert Settings(mount(RamFlash()), "street_light").apply({key: default})[0] == requests.DONE, name
    assert len(kinds.controls("street_light")) == 2 and len(kinds.controls("no_such_kind")) == 1


async def scenario_too_many_requests_lose_nothing_but_themselves(seed):
    world = World(seed, interval_ms=200)
    async with Running(world) as until:
        await until(lambda: world.server.session is not None and world.server.readings, "a session")
        for number in range(12):
            world.link.put(world.server.ask(FPORT_COMMANDS, requests.command(2 + number, 21, {})))
        world.link.put(world.server.ask(FPORT_COMMANDS, b"\xff\x00garbage"))
        await until(lambda: len(world.server.answers) >= 4, "some answers")
        before = len(world.server.readings)
        await until(lambda: len(world.server.readings) > before + 8, "readings go on")
    assert len(world.server.answers) < 12


def main():
    asyncio.run(globals()["scenario_" + sys.argv[1]](int(sys.argv[2])))
    print("ok")


main()
