# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The street light's parts: sun, schedule, who decides, dimming, DALI frames. The same under both interpreters.

micropython tests/upy/node_lamp.py VECTORS...      prints "ok" or a traceback
"""

import json
import sys

from firmware.node.lamp import dali_frames, days, sun
from firmware.node.lamp.control import MAINTENANCE, OVERRIDE, PHOTOCELL, SAFETY, SCHEDULE, Control
from firmware.node.lamp.health import Health, clo_pct
from firmware.node.lamp.plan import Plan
from firmware.node.roles.alarms import Alarms
from firmware.wire.kinds import common, common_controls, street_light_controls

HERE = {"positioned": True}
MIDNIGHT = days.number(2026, 11, 22) * 86400  # a Sunday in winter time
NOON = MIDNIGHT + 12 * 3600
EVENING = MIDNIGHT + 19 * 3600


class Settings(dict):
    damaged = False

    def __init__(self, **changed):
        super().__init__()
        for module in (common_controls, street_light_controls):
            for name, _, _, default in module.SETTINGS:
                self[name] = default
        self.update(changed)


class Service:
    """What Control asks of the node's service; time stands still unless a test moves it."""

    def __init__(self, unix_s=None, reason=common.POWER_ON, **settings):
        self.settings = Settings(**settings)
        self.boots = (reason, 1, 0, 0, 0, 0)
        self.clock = self
        self.up_s = 100
        self.now_s = unix_s
        self.heard_s = 0  # ago
        self.serviced = False

    def uptime_s(self):
        return self.up_s

    def unix_s(self, up_s):
        return None if self.now_s is None else self.now_s + up_s - 100

    def contact_s(self):
        return self.heard_s

    def contact_lost(self):
        return self.heard_s > self.settings["contact_lost_h"] * 3600

    def maintained(self):
        return self.serviced


def check_dali(case):
    """Frames as edges, edges as answers, percent as levels, times as fade codes."""
    what, want = case["dali"], case["out"]
    if what == "edges":
        got = dali_frames.edges_us(case["frame"], case["bits"])
        assert len(got) == len(want) and all(abs(a - b) <= 1 for a, b in zip(got, want)), (case, got)
        return
    asked = {"answer": ("edges", dali_frames.decode), "level": ("pct", dali_frames.arc_level)}
    key, function = asked.get(what, ("ms", dali_frames.fade_code))
    assert function(case[key]) == want, (case, function(case[key]))


def check_vector(case):
    if "dali" in case:
        check_dali(case)
        return
    got = sun.events(case["day_s"], *case["place"])
    want = case["out"]
    if isinstance(want[0], str):
        assert list(got) == want, (case, got)
        return
    worst = max(abs(got[0] - want[0]), abs(got[1] - want[1]))
    assert worst <= case.get("tolerance_s", 60), (case, got, worst)


def test_calendar():
    for day in (0, 59, 60, 20000, days.number(2028, 2, 29), days.number(2100, 3, 1)):
        assert days.number(*days.civil(day)) == day, day
    assert days.civil(days.number(2026, 11, 22)) == (2026, 11, 22) and days.weekday(days.number(2026, 11, 22)) == 6
    spring, autumn = days.number(2026, 3, 29) * 86400 + 3600, days.number(2026, 10, 25) * 86400 + 3600
    assert days.offset_s(spring - 1, 60, True) == 3600 and days.offset_s(spring, 60, True) == 7200
    assert days.offset_s(autumn - 1, 60, True) == 7200 and days.offset_s(autumn, 60, True) == 3600
    assert days.offset_s(spring, 60, False) == 3600


def test_plan():
    dusk_to_dawn = Plan(Settings(**HERE))
    assert dusk_to_dawn.level_pct(NOON) == 0 and dusk_to_dawn.level_pct(EVENING) == 100
    steps = [[1, -15, 80], [0, 1320, 50], [0, 300, 90], [2, 10, 0]]  # 22:00 and 05:00 local
    weekdays = Plan(Settings(program_0=[31, steps], program_1=[96, [[1, 0, 100], [2, 0, 0]]], **HERE))
    assert weekdays.level_pct(EVENING) == 100  # Sunday
    monday = EVENING + 86400
    assert weekdays.level_pct(monday) == 80 and weekdays.level_pct(monday + 3 * 3600) == 50
    assert weekdays.level_pct(monday + 10 * 3600) == 90 and weekdays.level_pct(NOON + 2 * 86400) == 0
    exception = Plan(Settings(program_2=[0, [[0, 0, 33]]], exceptions=[[1122, 2]], **HERE))
    assert exception.level_pct(NOON) == 33 and exception.level_pct(NOON + 86400) == 0
    nowhere = Plan(Settings())
    assert not nowhere.usable(NOON) and Plan(Settings(program_0=[127, [[0, 1020, 100], [0, 420, 0]]])).usable(NOON)
    north = Plan(Settings(latitude_udeg=67855000, longitude_udeg=20225000, positioned=True))
    midsummer, midwinter = days.number(2026, 6, 21) * 86400, days.number(2026, 12, 21) * 86400
    for hour in range(24):
        assert north.level_pct(midsummer + hour * 3600) == 0 and north.is_night(midsummer + hour * 3600) is False
        assert north.level_pct(midwinter + hour * 3600) == 100 and north.is_night(midwinter + hour * 3600) is True


def test_who_decides():
    half = {"program_0": [127, [[1, 0, 50], [2, 0, 0]]]}
    half.update(HERE)
    assert Control(Service(EVENING, **half)).decide(None) == (50, SCHEDULE)
    assert Control(Service(NOON, **half)).decide(True) == (0, SCHEDULE)
    assert Control(Service(NOON, photocell_mode=2, **half)).decide(True) == (100, SCHEDULE)
    # lost clock: the photocell, and without one light
    assert Control(Service(None, **half)).decide(True) == (100, PHOTOCELL)
    assert Control(Service(None, **half)).decide(False) == (0, PHOTOCELL)
    assert Control(Service(None, **half)).decide(None) == (100, SAFETY)
    # lost contact, damaged settings, a watchdog reset: full light at dusk, dark by day
    silent, damaged, reset = (
        Service(EVENING, **half),
        Service(EVENING, **half),
        Service(EVENING, common.WATCHDOG, **half),
    )
    silent.heard_s = 49 * 3600
    damaged.settings.damaged = True
    reset.heard_s = 100
    for service in (silent, damaged, reset):
        assert Control(service).decide(None) == (100, SAFETY)
        service.now_s = NOON
        assert Control(service).decide(None) == (0, SAFETY)
        assert Control(service).decide(True) == (100, SAFETY)
    # once the network is heard again, a reset is forgotten
    reset.now_s, reset.heard_s = EVENING, 5
    assert Control(reset).decide(None) == (50, SCHEDULE)


def test_override():
    service = Service(EVENING, **HERE)
    control = Control(service)
    control.override(30, 60)
    assert control.decide(None) == (30, OVERRIDE) and control.overridden()
    service.up_s += 3599
    assert control.decide(None)[1] == OVERRIDE
    service.up_s += 1
    assert control.decide(None) == (100, SCHEDULE)
    control.override(0, 60)
    service.heard_s = 49 * 3600  # nobody could end it any more
    service.up_s += 10
    assert control.decide(None) == (100, SAFETY)
    service.heard_s = 0
    control.release()
    assert control.decide(None)[1] in (SCHEDULE, SAFETY)
    service.serviced = True
    assert control.decide(None) == (100, MAINTENANCE)


class Measured:
    def __init__(self, power_w, voltage_v=230):
        self.power_w = power_w
        self.voltage_v = voltage_v


def test_health():
    alarms = Alarms()
    health = Health(alarms, Settings(rated_w=60))
    for _ in range(5):
        health.look(Measured(57), 100, 100, 0)
    assert alarms.take() == {}
    for _ in range(3):
        health.look(Measured(1), 100, 100, 10)
    assert alarms.take() == {"lamp_failure": True, "power_w": 1}
    for _ in range(3):
        health.look(Measured(57), 100, 100, 20)
    assert alarms.take() == {"lamp_failure": False}
    for _ in range(3):
        health.look(Measured(57), 0, 100, 30)
    assert alarms.take()["day_burner"] is True
    health.look(Measured(57), 0, 5, 40)  # just switched: a fade may be on its way
    for turn in range(4):
        health.look(Measured(57), 100, 100, 50 + turn)
        health.look(Measured(0), 100, 100, 50 + turn)
    assert alarms.take()["cycling"] is True
    for _ in range(3):
        health.look(Measured(57, 180), 100, 100, 90)
    assert alarms.take()["undervoltage"] is True
    for _ in range(3):
        health.look(Measured(57, 270), 100, 100, 90)
    told = alarms.take()
    assert told["undervoltage"] is False and told["overvoltage"] is True and told["voltage_v"] == 270
    quiet = Alarms()
    for _ in range(9):
        Health(quiet, Settings()).look(Measured(0), 100, 100, 0)  # nobody said what the lamp should draw
    assert quiet.take() == {}


def test_constant_light():
    points = [[10, 80], [50, 90], [100, 100]]
    assert [clo_pct(points, hours) for hours in (0, 10000, 30000, 50000, 99999, 120000)] == [80, 80, 85, 90, 99, 100]
    assert clo_pct([], 5000) == 100


def test_dali():
    # 62386-101: 833 us a bit; 0xFF00 (OFF to all) is the start bit, eight ones, eight zeros
    edges = dali_frames.edges_us(0xFF00, 16)
    assert edges[0] == 417 and edges[-1] == 14167, edges
    spans = [b - a for a, b in zip([0] + edges, edges)]
    assert all(abs(span - 417) <= 1 or abs(span - 833) <= 1 for span in spans), spans
    for value in range(256):
        moments = [0] + dali_frames.edges_us(value, 8)
        assert dali_frames.decode(moments) == value, value
        stretched = [at * 119 // 100 for at in moments]
        assert dali_frames.decode(stretched) == value, value
        assert dali_frames.decode([at * 81 // 100 for at in moments]) == value, value
        assert dali_frames.decode([at * 13 // 10 for at in moments]) is None
        assert dali_frames.decode(moments[:-1]) is None or len(moments) % 2, value
        collided = moments[:3] + [moments[3] + 200] + moments[4:]
        assert dali_frames.decode(collided) != value
    assert [dali_frames.arc_level(pct) for pct in (0, 1, 10, 50, 100)] == [0, 85, 170, 229, 254]
    assert [dali_frames.fade_code(ms) for ms in (0, 700, 1000, 4000, 60000)] == [0, 1, 2, 6, 14]


def main(paths):
    for path in paths:
        with open(path) as file:
            for case in json.load(file)["cases"]:
                check_vector(case)
    tests = [name for name in globals() if name.startswith("test_")]
    for name in tests:
        globals()[name]()
    print("%d tests" % len(tests))
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1:])
