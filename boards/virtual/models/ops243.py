# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""OmniPreSense OPS243-A Doppler radar (AN-010, API of OPS24x): a line of ASCII for each speed while something moves.

Powers up at 19200 baud with metres per second, one decimal, both directions. U? chooses the unit, F<n> the decimals,
R+ R- R| the directions, OJ and Oj the form of a line, ?V asks for the version; answers stand in braces.
"""

import random
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._road import road
from boards.virtual.pins import PinBank

_PERIOD_S = 0.1
_NOISE_MPS = 0.1
_UNITS = {b"UM": ("m/s", 1.0), b"UK": ("km/h", 3.6), b"US": ("mph", 2.236936), b"UF": ("ft/s", 3.28084)}
_COMMAND_BYTES = 2


class Config(ModelConfig):
    """UART, and how much of the road the beam covers."""

    model: Literal["ops243"]
    uart: int
    zone_m: float = Field(gt=0, le=50)

    def place(self) -> tuple[str, int, int]:
        """One chip to a UART."""
        return ("uart", self.uart, 0)


class Chip:
    """Sees the road's vehicles, the nearest of them; one that drives in direction a comes nearer: positive."""

    baud = 19200

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._environment, self._zone_m = environment, config.zone_m
        self._road = road(environment)
        self._rng = random.Random(f"{environment.scenario.seed}/radar")
        self._typed = b""
        self._unit, self._factor = _UNITS[b"UM"]
        self._decimals, self._json = 1, False
        self._ways: tuple[int, ...] = (1, -1)
        self._next_s = 0.0
        environment.publish("radar_dead", lambda: 0.0)
        buses.uart[config.uart].device = self

    def receive(self, data: bytes) -> bytes:
        """Two characters are a command; line ends between them do not matter."""
        if self._environment.get("radar_dead"):
            return b""
        self._typed += data.replace(b"\r", b"").replace(b"\n", b"")
        reply = b""
        while len(self._typed) >= _COMMAND_BYTES:
            command, self._typed = self._typed[:_COMMAND_BYTES], self._typed[_COMMAND_BYTES:]
            reply += self._obey(command)
        return reply

    def said(self, now_s: float) -> list[tuple[float, bytes]]:
        """The reports since the last time."""
        offset = now_s - self._environment.elapsed_s()
        until = self._environment.elapsed_s()
        said = []
        self._next_s = max(self._next_s, until - 2.0)
        while self._next_s <= until:
            line = self._report(self._next_s)
            if line:
                said.append((self._next_s + offset, line))
            self._next_s += _PERIOD_S
        return said

    def state(self) -> dict[str, float]:
        """What drove past."""
        return self._road.state()

    def _report(self, at_s: float) -> bytes:
        if self._environment.get("radar_dead"):
            return b""
        half = self._zone_m / 2
        for vehicle in self._road.around(at_s, at_s):
            enters, leaves = vehicle.over(-half * vehicle.way)[0], vehicle.over(half * vehicle.way)[1]
            if enters <= at_s < leaves and vehicle.way in self._ways:
                speed = (vehicle.speed_mps + self._rng.gauss(0.0, _NOISE_MPS)) * self._factor * vehicle.way
                text = f"{speed:.{self._decimals}f}"
                return (f'{{"speed":"{text}"}}' if self._json else text).encode() + b"\r\n"
        return b""

    def _obey(self, command: bytes) -> bytes:
        if command in _UNITS:
            self._unit, self._factor = _UNITS[command]
            return f'{{"Units":"{self._unit}"}}\r\n'.encode()
        if command[:1] == b"F" and command[1:].isdigit():
            self._decimals = min(5, int(command[1:]))
            return f'{{"Precision":"{self._decimals}"}}\r\n'.encode()
        if command in (b"OJ", b"Oj"):
            self._json = command == b"OJ"
            return b'{"OutputFeature":"J"}\r\n'
        if command in (b"R+", b"R-", b"R|"):
            self._ways = {b"R+": (1,), b"R-": (-1,), b"R|": (1, -1)}[command]
            return b'{"Direction":"set"}\r\n'
        return b'{"Version":"1.6.4"}\r\n' if command == b"?V" else b'{"Error":"unknown"}\r\n'
