# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The roles under MicroPython: interrupt handlers that allocate nothing, and a day without heap growth.

micropython tests/upy/role_board.py interrupts|waste_bin|traffic|street_light      prints "ok" or a traceback
"""

import sys

from tests.upy import sim_time  # first: asyncio takes its ticks from it


class Pin:
    IN, OUT, PULL_UP, IRQ_RISING, IRQ_FALLING = 0, 1, 1, 1, 2

    def __init__(self, number=0, *rest, **more):
        self.level = 1
        self.handler = None

    def irq(self, handler, trigger=3):
        self.handler = handler

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level


class machine:  # noqa: N801  stands for the module
    Pin = Pin

    @staticmethod
    def time_pulse_us(pin, level, timeout_us):
        return -1


for _name in ("ADC", "I2C", "UART", "PWM", "RTC", "WDT", "Timer", "reset", "SPI"):
    setattr(machine, _name, Pin)
sys.modules["machine"] = machine

import asyncio  # noqa: E402
import gc  # noqa: E402
import time  # noqa: E402
from array import array  # noqa: E402

import micropython  # noqa: E402

from tests.upy.node_world import RamFlash, mount  # noqa: E402


def interrupts():
    """With the heap locked an allocation is a MemoryError."""
    from utime import ticks_diff

    from firmware.node.radio.base import LoraRadio
    from firmware.node.sensors._pulse_meter import PulseMeter
    from firmware.node.sensors.contact import Contact
    from firmware.node.sensors.lis3dh import Lis3dh

    pin = Pin()
    contact = Contact(pin, 0)
    moved = Pin()
    tilt = Lis3dh(None, 0x19, moved)
    pulse = Pin()
    meter = PulseMeter(pulse, Pin(), Pin(), 1, (1.0, 1.0, 1.0))
    dio = Pin()
    radio = LoraRadio()
    radio.watch(dio)
    handlers = (pin.handler, moved.handler, pulse.handler, dio.handler)
    micropython.heap_lock()
    try:
        for n in range(100):
            pin.level = n & 1
            sim_time.clock.now_us += 1000
            handlers[0](pin)
            handlers[1](moved)
            handlers[2](pulse)
            handlers[3](dio)
    finally:
        micropython.heap_unlock()
    edges = contact.edges()
    assert len(edges) == 64 and contact.lost == 36, (len(edges), contact.lost)
    for i in range(1, 64):
        # By MicroPython's own function: it takes small integers, and makes nonsense of others without a word.
        assert ticks_diff(edges[i][0], edges[i - 1][0]) == 1, edges
        assert edges[i][1] != edges[i - 1][1]
    assert tilt._count == 100
    assert radio._fired and ticks_diff(sim_time.clock.now_us, radio._irq_us) == 0
    assert meter.pulses == 100 and meter._cf.period_us == 1000


class Range:
    nearest_mm, farthest_mm = 30, 4500

    def __init__(self):
        self.mm = 1250

    async def ranges_mm(self, count):
        await asyncio.sleep_ms(700)
        self.mm = self.mm - 3 if self.mm > 200 else 1250
        return [self.mm + n % 3 for n in range(count)]


class Small:
    def temperature_c(self):
        return 12.5 + (time.ticks_ms() % 7) / 10

    def gravity_mg(self):
        return (20, 0, 1000)

    def motions(self):
        return time.ticks_ms() // 1000 % 40 == 0

    def voltage_mv(self):
        return 3600

    def charge_pct(self, mv, temperature_c):
        return 80

    def speeds(self):
        second = time.ticks_ms() // 1000 % 20
        return [480 + second] if second < 4 else []

    def ask(self):
        pass

    def heard(self):
        return True


class Day:
    """Six hours of night, twelve of day, six of night."""

    def illuminance_lx(self):
        return 900.0 if 6 <= time.ticks_ms() // 3600000 % 24 < 18 else 1.5


class Meter:
    pulses_per_wh, pulses_wrap = 100, 1 << 24
    voltage_v, current_a, power_w = 231.5, 0.26, 60.0

    def __init__(self):
        self.pulses = 0

    async def read(self):
        await asyncio.sleep_ms(20)
        self.pulses += 17
        return self


def make_role(kind, files):
    small = Small()
    if kind == "waste_bin":
        from firmware.node.roles.waste_bin import WasteBin

        uses = [("a02yyuw", "range", Range()), ("vl53l1x", "range", Range())]
        return WasteBin(uses + [("x", use, small) for use in ("temperature", "tilt", "battery")], files)
    if kind == "street_light":
        from firmware.node.lamp.output import Lamp
        from firmware.node.roles.energy import EnergyTotal
        from firmware.node.roles.street_light import StreetLight

        meter = Meter()
        energy = EnergyTotal(files, "energy", meter.pulses_per_wh, meter.pulses_wrap)
        return StreetLight(files, Lamp(Pin(), None), Day(), small, meter, energy, None)
    from firmware.node.roles.traffic import Traffic

    return Traffic([("ops243", "speed", small)], files)


class Service:
    """What the node gives a role: a clock, and settings as they are by default."""

    def __init__(self, kind):
        self.settings = self.clock = self
        self.on_change = None
        self.boots = (1, 1, 0, 0, 0, 0)
        self.damaged = False
        self._values = {}
        for name in (kind, "common"):
            controls = __import__("firmware.wire.kinds.%s_controls" % name, None, None, ["SETTINGS"])
            self._values.update({entry[0]: entry[3] for entry in controls.SETTINGS})

    def __getitem__(self, name):
        return self._values[name]

    def maintained(self):
        return False

    def is_set(self):
        return True

    def contact_s(self):
        return 0

    def contact_lost(self):
        return False

    def monotonic_ms(self):
        return sim_time.clock.now_us // 1000

    def uptime_s(self):
        return self.monotonic_ms() // 1000

    def unix_s(self, uptime_s):
        return 1800000000 + uptime_s

    def unix_ms(self, monotonic_ms):
        return 1800000000000 + monotonic_ms


async def soak(kind, interval_ms):
    """24 hours of looking and measuring; return the bytes used after each hour, and how many readings there were."""
    files = mount(RamFlash())
    files.write("first", b"")  # from the first one on, memory is kept for the next
    role = make_role(kind, files)
    role.attach(Service(kind))
    used = array("l", [0] * 24)
    readings = 0
    due_ms = 0
    for second in range(0, 86400):
        role.control()
        if kind == "traffic":
            role.control()
        role.alarms()
        if 1000 * second >= due_ms:
            assert await role.measure()
            readings += 1
            due_ms = 1000 * second + (role.wait_ms(interval_ms) if hasattr(role, "wait_ms") else interval_ms)
        await asyncio.sleep_ms(1000)
        if second % 3600 == 3599:
            gc.collect()
            used[second // 3600] = gc.mem_alloc()
    return used, readings


def main(what):
    if what == "interrupts":
        interrupts()
    else:
        used, readings = asyncio.run(soak(what, {"waste_bin": 1800000}.get(what, 300000)))
        print("%d readings, %d bytes used after 6 hours, %d after 24" % (readings, used[5], used[-1]))
        assert readings >= (45 if what == "waste_bin" else 280), readings
        # The trend of a bin holds up to 32 points, and thins them out: that much goes up and down.
        assert max(used[5:]) - min(used[5:]) <= (2560 if what == "waste_bin" else 512), list(used)
        # What the first midnight leaves (64 bytes, no more in the three days after it) is less than a block an hour.
        assert used[-1] <= max(used[5:17]) + 128, list(used)
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
