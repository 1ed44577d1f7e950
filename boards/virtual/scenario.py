# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a day brings to a board: daylight with clouds, temperature, mains voltage.

Seeded, and the same at the same scenario time.
A scenario is a file of scenarios/, found by its name. No weather model: shapes that look right on a plot are enough.
"""

import hashlib
import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from boards.errors import SchemaError

DAY_S = 86400.0
_FOLDER = Path(__file__).parent / "scenarios"


@dataclass(frozen=True)
class Event:
    """Something that happens for a while: fire, festival, fallen, failing... What it does, the models know."""

    what: str
    from_h: float
    """Hours of scenario time from midnight of the first day."""
    hours: float
    amount: float = 1.0
    """Reached at once, or with `ramp` at the end of the time."""
    ramp: bool = False

    def at(self, time_s: float) -> float:
        """How much of it there is at a scenario time; 0 before and afterwards."""
        part = (time_s / 3600.0 - self.from_h) / self.hours
        if not 0.0 <= part < 1.0:
            return 0.0
        return self.amount * part if self.ramp else self.amount


@dataclass(frozen=True)
class Scenario:
    """Constants of one scenario; at() is a pure function of them, the seed and the time."""

    name: str
    seed: int
    summary: str
    speed: float
    """Scenario seconds per second."""
    start_h: float
    """Hour of the day when the board process starts."""
    sunrise_h: float
    sunset_h: float
    peak_lx: float
    """Clear sky at noon, as the photocell sees it."""
    twilight_h: float
    """Dusk and dawn reach this far beyond sunrise and sunset."""
    cloud_pct: float
    """Share of the light that the thickest cloud takes."""
    temperature_mean_c: float
    temperature_swing_c: float
    mains_voltage_v: float
    mains_noise_v: float
    mains_frequency_hz: float
    events: tuple[Event, ...] = ()

    def event(self, what: str, time_s: float) -> float:
        """How much of an event there is at a scenario time, all of its kind together."""
        return sum(event.at(time_s) for event in self.events if event.what == what)

    @property
    def start_s(self) -> float:
        """Scenario time at the start."""
        return self.start_h * 3600.0

    def at(self, time_s: float) -> dict[str, float]:
        """Values at a scenario time in seconds since midnight of the first day."""
        hour = time_s % DAY_S / 3600.0
        clouds = 1.0 - self.cloud_pct / 100.0 * self.smooth("clouds", time_s, 600.0)
        warmth = math.cos((hour - 15.0) / 24.0 * math.tau)
        wander = self.smooth("temperature", time_s, 1800.0) - 0.5
        mains = 2.0 * self.smooth("mains", time_s, 30.0) - 1.0
        return {
            "illuminance_lx": self.peak_lx * self._sun(hour) * clouds,
            "temperature_c": self.temperature_mean_c + self.temperature_swing_c * (warmth + 0.2 * wander),
            "mains_voltage_v": self.mains_voltage_v + self.mains_noise_v * mains + self.event("mains_off_by_v", time_s),
            "mains_frequency_hz": self.mains_frequency_hz,
        }

    def _sun(self, hour: float) -> float:
        dawn, dusk = self.sunrise_h - self.twilight_h, self.sunset_h + self.twilight_h
        if not dawn < hour < dusk:
            return 0.0
        return math.sin((hour - dawn) / (dusk - dawn) * math.pi) ** 2

    def smooth(self, channel: str, time_s: float, step_s: float) -> float:
        """Value noise, 0 to 1: random at the multiples of step_s, eased between them."""
        step, part = divmod(time_s / step_s, 1.0)
        ease = part * part * (3.0 - 2.0 * part)
        left, right = self._random(channel, int(step)), self._random(channel, int(step) + 1)
        return left + (right - left) * ease

    def _random(self, channel: str, step: int) -> float:
        digest = hashlib.sha256(f"{self.seed}/{channel}/{step}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48


def names() -> list[str]:
    """Names of the scenarios there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str, seed: int = 0) -> Scenario:
    """The scenario of that name; SchemaError if there is none or its file is wrong."""
    path = _FOLDER / f"{name}.toml"
    if name not in names():
        raise SchemaError(f"no scenario {name!r}: it decides what the sensors see. Known: {', '.join(names())}")
    data = tomllib.loads(path.read_text("utf-8"))
    events = tuple(Event(**event) for event in data.pop("events", []))
    known = {f.name: f.type for f in fields(Scenario) if f.name not in ("name", "seed", "events")}
    if data.keys() != known.keys():
        wrong = ", ".join(sorted(data.keys() ^ known.keys()))
        raise SchemaError(f"{path}: keys must be exactly {', '.join(sorted(known))}; unknown or missing: {wrong}")
    values = {key: str(value) if known[key] is str else float(value) for key, value in data.items()}
    return Scenario(name=name, seed=seed, events=events, **values)  # type: ignore[arg-type]
