# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Control gear on a DALI bus (IEC 62386-101 and -102, and the gear's temperature of part 253).

It decodes the pulses on the bus by itself, obeys direct arc power, OFF, SET FADE TIME and ADD TO GROUP (when they come
twice within 100 ms), DTR0 and DTR1, and answers QUERY STATUS, CONTROL GEAR PRESENT, LAMP FAILURE, ACTUAL LEVEL and READ
MEMORY LOCATION, and to the commands by which addresses are given; several gears share a bus, and answers that meet are
no byte. A frame that is not 16 clean bits is not obeyed. Its light is 10 ** ((level - 254) * 3 / 253) of full light.
"""

import random
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._dali_bus import NO_ADDRESS, TWICE_S, YES, Addressing, wires
from boards.virtual.models._load import Load
from boards.virtual.pins import PinBank

BANK, GEAR_TEMPERATURE, TEMPERATURE_OFFSET = 205, 0x1B, 60
DTR0, DTR1 = 0xA3, 0xC3
OFF, SET_FADE_TIME, READ_MEMORY = 0x00, 0x2E, 0xC5
ADD_TO_GROUP, REMOVE_FROM_GROUP = range(0x60, 0x70), range(0x70, 0x80)
QUERY_STATUS, QUERY_GEAR, QUERY_LAMP_FAILURE, QUERY_LEVEL = 0x90, 0x91, 0x92, 0xA0
FULL = 254
STARTS_S = 0.3


class Config(ModelConfig):
    """The controller's two pins, the gear's short address, the relay in its mains, and its electrical data."""

    model: Literal["dali_gear"]
    tx_pin: int
    rx_pin: int
    address: int = Field(default=0, ge=0, le=63)
    addressed: bool = True
    """False: as it is delivered, without a short address."""
    relay_pin: int | None = None
    rated_w: float = Field(gt=0)
    driver_w: float = Field(ge=0)
    power_factor: float = Field(gt=0, le=1)

    def gpio(self) -> dict[str, int]:
        """Its pins."""
        relay = {} if self.relay_pin is None else {"relay_pin": self.relay_pin}
        return {"tx_pin": self.tx_pin, "rx_pin": self.rx_pin} | relay


class Chip:
    """The gear and its lamp."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._pins, self._environment = config, pins, environment
        self.frames = self.broken = 0
        self._dtr = [0, 0]
        self.groups: set[int] = set()
        self._fade_code = 0
        self._twice: tuple[int, float] | None = None
        self._since_s = environment.now_s()
        self._mains = False
        self._from = self._to = float(FULL)
        self._fade_s = 0.0
        self._cycled = True
        self.load = Load((config.rated_w, config.driver_w, config.power_factor), environment, self._light)
        bus = wires(pins, config.tx_pin, config.rx_pin)
        rng = random.Random(f"{environment.scenario.seed}/dali/{len(bus.gear)}")
        short = config.address if config.addressed else NO_ADDRESS
        self.addressing = Addressing(short, rng, environment.now_s)
        bus.gear.append(self)
        if config.relay_pin is not None:
            pins.watch(config.relay_pin, self._look_at_mains)
        self._look_at_mains()

    def state(self) -> dict[str, float]:
        """Level, light, frames that were understood and not."""
        return {
            "level": round(self._level_now()),
            "lit": float(self.load.lit()),
            "power_w": self.load.power_w(),
            "fade_code": float(self._fade_code),
            "address": float(self.addressing.short),
            "frames": float(self.frames),
            "broken": float(self.broken),
        }

    def hear(self, frame: int | None) -> int | None:
        """One forward frame; None: what is none."""
        if frame is None:
            self.broken += 1
            return None
        self.frames += 1
        return self._obey(frame >> 8, frame & 0xFF) if self._powered() else None

    def _obey(self, address: int, command: int) -> int | None:
        if address in (DTR0, DTR1):
            self._dtr[address == DTR1] = command
            return None
        if 0xA0 <= address <= 0xCB and address & 1:
            return self.addressing.obey(address, command)
        if not self._meant(address & 0xFE):
            return None
        if not address & 1:
            self._go(command, fade=True)
            return None
        if command == SET_FADE_TIME or command in ADD_TO_GROUP or command in REMOVE_FROM_GROUP:
            self._set_twice(command)
            return None
        self._twice = None
        if command == OFF:
            self._go(0, fade=False)
            return None
        return self._query(command)

    def _meant(self, address: int) -> bool:
        """Whether a frame is for all, for one of its groups, or for itself alone."""
        if address & 0xE0 == 0x80:
            return (address >> 1 & 15) in self.groups
        short = self.addressing.short
        return address == 0xFE or (short != NO_ADDRESS and address == short << 1)

    def _query(self, command: int) -> int | None:
        dead = self.load.fault("dead_lamp")
        level = round(self._level_now())
        if command == QUERY_STATUS:
            fading = self._level_now() != self._to
            lit = level > 0 and not dead
            return dead << 1 | lit << 2 | fading << 4 | self._cycled << 7
        if command == QUERY_LEVEL:
            return 255 if dead and level else level
        if command == READ_MEMORY and self._dtr == [GEAR_TEMPERATURE, BANK]:
            self._dtr[0] += 1  # 62386-102: the location counts on
            return max(0, min(253, round(self._environment.get("driver_temperature_c")) + TEMPERATURE_OFFSET))
        return YES if command == QUERY_GEAR or (command == QUERY_LAMP_FAILURE and dead) else None

    def _set_twice(self, command: int) -> None:
        now_s = self._environment.now_s()
        if self._twice is not None and self._twice[0] == command and now_s - self._twice[1] <= TWICE_S:
            self._twice = None
            if command in ADD_TO_GROUP:
                self.groups.add(command & 15)
            elif command in REMOVE_FROM_GROUP:
                self.groups.discard(command & 15)
            else:
                self._fade_code = min(15, self._dtr[0])
        else:
            self._twice = (command, now_s)

    def _go(self, level: int, fade: bool) -> None:
        if level == 255:  # MASK: stay
            return
        self._from, self._to = self._level_now(), float(level)
        self._since_s = self._environment.now_s()
        self._fade_s = 0.5 * 2.0 ** (self._fade_code / 2) if fade and self._fade_code else 0.0
        self._cycled = False
        self.load.changed()

    def _level_now(self) -> float:
        part = (self._environment.now_s() - self._since_s) / self._fade_s if self._fade_s else 1.0
        return self._to if part >= 1.0 else self._from + (self._to - self._from) * part

    def _light(self) -> float | None:
        if not self._mains:
            return None
        level = self._level_now()
        return 10.0 ** ((level - FULL) * 3 / 253) if level >= 1 else 0.0

    def _powered(self) -> bool:
        return self._mains and not self.load.fault("gear_failure")

    def _look_at_mains(self) -> None:
        relay = self._config.relay_pin
        mains = relay is None or self._pins.pin(relay).level == 1
        if mains and not self._mains:  # as it is delivered it comes back at full light
            self._from = self._to = float(FULL)
            self._fade_s, self._cycled = 0.0, True
        self._mains = mains
        self.load.changed()
