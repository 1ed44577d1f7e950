# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long a battery lasts: currents of data sheets, times that were measured, airtime as it is computed.

What it counts for one day: looks at heat and tilt, measurements, uplinks with their two windows, receipts, sleep, and
what the cell loses by itself. docs/battery.md says where each figure comes from, and what none of them covers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

from firmware.wire.airtime import symbol_us, time_on_air_us
from firmware.wire.region import DATA_RATES, RX2_DR
from provisioning.errors import BoardError

T = TypeVar("T")

_DAY_S: Final = 86_400.0
_FRAME_OVERHEAD: Final = 13  # LoRaWAN: MHDR, FHDR, FPort, MIC (TS001 section 4)
_WINDOW_ERROR_S: Final = 0.02  # firmware/node/links/lora.py
_MIN_SYMBOLS: Final = 6
_RECEIPT_BYTES: Final = 5
_FEED_S: Final = 0.002  # awake for it: an estimate
_BOOT_S: Final = 2.5  # from deep sleep to the first measurement, MicroPython and a node's code loaded: an estimate
_LOOK_BOOT_S: Final = 0.45  # from deep sleep to the end of a look, a fifth of the code loaded: an estimate
_SLEEPS: Final = ("light", "deep")


@dataclass(frozen=True)
class Chip:
    """A processor: *active_ma* at work, *sleep_ma* in MicroPython's light sleep, *deep_ma* without its memory."""

    title: str
    active_ma: float
    sleep_ma: float
    source: str
    deep_ma: float | None = None
    """None: a timer cannot wake it from there, or nothing is gained."""


PROCESSORS: Final = {
    "esp32s3": Chip("ESP32-S3 at 80 MHz", 27.0, 0.240, "Espressif ESP32-S3 data sheet, low-power modes", 0.008),
    "rp2040": Chip("RP2040 at 125 MHz", 24.0, 0.80, "Raspberry Pi Pico data sheet, popcorn and dormant current"),
    "stm32l4": Chip("STM32L496 at 48 MHz, Stop 2", 5.4, 0.0031, "ST DS11585, supply current in Run and Stop 2"),
}


@dataclass(frozen=True)
class Radio:
    """A radio at 14 dBm."""

    title: str
    tx_ma: float
    rx_ma: float
    sleep_ma: float
    source: str


RADIOS: Final = {
    "sx1262": Radio("SX1262", 90.0, 4.6, 0.0012, "Semtech SX1261/2 data sheet rev. 2.1, tables 3-2 to 3-4"),
    "sx1261": Radio("SX1261", 25.5, 4.6, 0.0012, "Semtech SX1261/2 data sheet rev. 2.1, tables 3-2 to 3-4"),
}


@dataclass(frozen=True)
class Cells:
    """A battery of cells side by side. *usable*: what is left after cold, pulses and the last volt."""

    title: str
    ah: float
    usable: float
    self_discharge_per_year: float
    source: str


CELLS: Final = {
    "2xER26500": Cells("2 x ER26500 (Li-SOCl2)", 17.0, 0.80, 0.01, "EVE ER26500: 8.5 Ah, below 1 % a year"),
    "1xER34615": Cells("1 x ER34615 (Li-SOCl2)", 19.0, 0.80, 0.01, "EVE ER34615: 19 Ah, below 1 % a year"),
    "2x18650": Cells("2 x 18650 (Li-ion)", 6.8, 0.85, 0.06, "3.4 Ah each; some half a percent a month"),
}


@dataclass(frozen=True)
class Role:
    """What a kind draws beside its processor. Times are of one occasion, in seconds."""

    measure_s: float
    """Awake for a measurement: benchmarks/bench_awake.py."""
    sensors_mas: float
    """What sensors draw for one measurement, in milliampere-seconds."""
    look_s: float
    """Awake for a look at heat and tilt."""
    standing_ma: float
    """What sensors draw all the time."""
    reading_bytes: int
    uplink_s: float
    """Awake for encryption, flash and radio commands of one uplink, beside airtime and windows: an estimate."""
    source: str
    always_awake: bool = False
    """It looks so often that it never sleeps."""


ROLES: Final = {
    "waste_bin": Role(
        1.75,
        1.0 * 8.0 + 0.72 * 18.0,
        0.004,
        0.003 + 0.005,
        34,
        0.25,
        "A02YYUW 8 mA; VL53L1X 18 mA ranging, 5 uA standby (ST data sheet); LIS3DH 3 uA at 10 Hz (ST data sheet)",
    ),
    "traffic": Role(
        0.0,
        0.0,
        0.0,
        0.0,
        44,
        0.25,
        "the role looks 50 times a second",
        True,
    ),
}


@dataclass(frozen=True)
class Detector:
    """What a traffic sensor looks at the road with; *standing_ma* at 3.6 V, all the time."""

    title: str
    standing_ma: float
    source: str


DETECTORS: Final = {
    "field": Detector("a magnetometer (rm3100)", 0.26, "RM3100 260 uA (PNI data sheet, three axes at 37 Hz)"),
    "contact": Detector("contacts of loop detectors", 0.0, "the detectors have a supply of their own"),
    "radar": Detector("a radar (ops243)", 525.0, "OPS243-A some 1.7 W, through a converter of 90 %: an estimate"),
}


@dataclass(frozen=True)
class Remedy:
    """What a role that never sleeps would be with other hardware or firmware. None of it is built."""

    what: str
    awake_s: float
    """Of a day, instead of all of it."""
    detector: str
    processor: str | None = None
    """None: the one that is asked about."""


REMEDIES: Final = {
    "traffic": (
        Remedy("loop contacts that wake it, 5 ms for each of four edges of 5000 vehicles a day", 100.0, "contact"),
        Remedy("a magnetometer and light sleep between looks of 1 ms, 50 a second", 4320.0, "field"),
        Remedy("the same on a processor that keeps its memory at 3 uA", 4320.0, "field", "stm32l4"),
    ),
}


@dataclass(frozen=True)
class Setting:
    """How a device is used."""

    kind: str = "waste_bin"
    processor: str = "esp32s3"
    radio: str = "sx1262"
    cells: str = "2xER26500"
    interval_s: int = 1800
    look_s: int = 30
    watchdog_s: int = 60
    receipt_every: int = 8
    readings_per_frame: int = 1
    sleep: str | None = None
    """light or deep; None: as the firmware does, deep where the processor can."""
    asleep_look_s: int = 300
    openings_a_day: int = 65
    """Each wakes it from deep sleep: an ordinary day of boards/virtual/models/_bin.py."""
    detector: str = "field"
    """Of a traffic sensor."""


@dataclass(frozen=True)
class Budget:
    """Milliampere-hours a day, by what takes them, and the years that follow."""

    parts_mah: dict[str, float]
    years: float

    @property
    def total_mah(self) -> float:
        """A day."""
        return sum(self.parts_mah.values())


def budget(setting: Setting, data_rate: int) -> Budget:
    """What a day takes and how many years the cells last. Raises BoardError for a name that is not known."""
    role = _pick("kind", ROLES, setting.kind)
    chip = _pick("processor", PROCESSORS, setting.processor)
    radio = _pick("radio", RADIOS, setting.radio)
    cells = _pick("cells", CELLS, setting.cells)
    deep = _sleeps_deep(setting, role, chip)
    readings = _DAY_S / setting.interval_s
    frames = readings / setting.readings_per_frame
    looks = _DAY_S / setting.asleep_look_s + setting.openings_a_day if deep else _DAY_S / setting.look_s
    look_s = role.look_s + (_LOOK_BOOT_S if deep else 0.0)
    feeds = 0.0 if deep else 3 * _DAY_S / setting.watchdog_s
    boots_s = readings * _BOOT_S if deep else 0.0
    sleep_ma = chip.deep_ma if deep and chip.deep_ma is not None else chip.sleep_ma
    air_s = airtime_s(role.reading_bytes * setting.readings_per_frame, data_rate)
    listen_s = windows_s(data_rate)
    receipts = readings / setting.receipt_every
    awake_s = (
        _DAY_S
        if role.always_awake
        else (
            boots_s
            + readings * role.measure_s
            + looks * look_s
            + feeds * _FEED_S
            + frames * (role.uplink_s + air_s + listen_s)
        )
    )
    parts = {
        "measuring": readings * (role.measure_s * chip.active_ma + role.sensors_mas),
        "looking at heat and tilt": looks * look_s * chip.active_ma,
        "feeding the watchdog": feeds * _FEED_S * chip.active_ma,
        "sending": frames * (air_s * radio.tx_ma + (air_s + role.uplink_s) * chip.active_ma),
        "listening": frames * listen_s * (radio.rx_ma + chip.active_ma),
        "receipts": receipts * airtime_s(_RECEIPT_BYTES, data_rate) * (radio.rx_ma + chip.active_ma),
        "waking up": boots_s * chip.active_ma,
        "sleeping": (_DAY_S - awake_s) * (sleep_ma + radio.sleep_ma) + _DAY_S * role.standing_ma,
        "always awake": _DAY_S * chip.active_ma if role.always_awake else 0.0,
    }
    if role.always_awake:
        parts["the detector"] = _DAY_S * _pick("detector", DETECTORS, setting.detector).standing_ma
    parts_mah = {name: mas / 3600.0 for name, mas in parts.items()}
    lost_mah = cells.ah * 1000 * cells.self_discharge_per_year / 365.25
    parts_mah["self-discharge"] = lost_mah
    return Budget(parts_mah, cells.ah * 1000 * cells.usable / sum(parts_mah.values()) / 365.25)


def _sleeps_deep(setting: Setting, role: Role, chip: Chip) -> bool:
    can = chip.deep_ma is not None and not role.always_awake
    deep = can if setting.sleep is None else _pick("sleep", {name: name == "deep" for name in _SLEEPS}, setting.sleep)
    if deep and not can:
        raise BoardError("There is no deep sleep for it.", value=f"{setting.kind} on {setting.processor}")
    return deep


def remedies(setting: Setting, data_rate: int) -> list[tuple[str, Budget]]:
    """What would let a role that never sleeps last longer, each with what a day would take then."""
    cells = _pick("cells", CELLS, setting.cells)
    radio = _pick("radio", RADIOS, setting.radio)
    found = []
    for remedy in REMEDIES.get(setting.kind, ()):
        chip = _pick("processor", PROCESSORS, remedy.processor or setting.processor)
        parts = dict(budget(replace(setting, processor=remedy.processor or setting.processor), data_rate).parts_mah)
        del parts["always awake"]
        parts["looking at the road"] = remedy.awake_s * chip.active_ma / 3600.0
        parts["sleeping"] = (_DAY_S - remedy.awake_s) * (chip.sleep_ma + radio.sleep_ma) / 3600.0
        parts["the detector"] = _DAY_S * DETECTORS[remedy.detector].standing_ma / 3600.0
        found.append((remedy.what, Budget(parts, cells.ah * 1000 * cells.usable / sum(parts.values()) / 365.25)))
    return found


def airtime_s(payload_bytes: int, data_rate: int) -> float:
    """Seconds on air of a frame with that payload."""
    sf, bw_hz, _ = DATA_RATES[data_rate]
    return time_on_air_us(sf, bw_hz, payload_bytes + _FRAME_OVERHEAD) / 1e6


def windows_s(data_rate: int) -> float:
    """Seconds that the receiver is on after an uplink that nobody answers: RX1 as fast as the uplink, RX2 at DR0."""
    total = 0.0
    for dr in (data_rate, RX2_DR):
        sf, bw_hz, _ = DATA_RATES[dr]
        symbol_s = symbol_us(sf, bw_hz) / 1e6
        total += max(_MIN_SYMBOLS * symbol_s, (2 * _MIN_SYMBOLS - 8) * symbol_s + 2 * _WINDOW_ERROR_S)
    return total


def _pick(what: str, table: dict[str, T], name: str) -> T:
    if name not in table:
        raise BoardError(f"This {what} is not known.", value=repr(name), next_step=f"choose one of: {', '.join(table)}")
    return table[name]
