# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The sensors that a board file lists for its firmware: [[node.sensors]], one table per chip.

``chip`` names the driver, firmware/node/sensors/<chip>.py. Which keys a chip knows is written here, and what it cannot
do without.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pin = Annotated[int, Field(ge=0, le=255)]

_POWER = frozenset({"power_pin"})
# chip: (keys it needs, keys it may have)
CHIPS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "a02yyuw": (frozenset({"uart"}), _POWER),
    "jsn_sr04t": (frozenset({"uart"}), _POWER),
    "ops243": (frozenset({"uart"}), frozenset()),
    "vl53l1x": (frozenset({"address"}), frozenset()),
    "lis3dh": (frozenset({"address"}), frozenset({"interrupt_pin"})),
    "qmc5883l": (frozenset({"address"}), frozenset()),
    "rm3100": (frozenset({"address"}), frozenset()),
    "ntc_adc": (frozenset({"adc"}), frozenset({"series_ohm", "ohm_25", "beta_k"}) | _POWER),
    "battery_adc": (frozenset({"adc", "full_scale_mv"}), frozenset({"chemistry", "cells"}) | _POWER),
    "contact": (frozenset({"pin"}), frozenset({"pull_up", "closed_level"})),
}


class SensorUart(BaseModel):
    """The UART of a sensor."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: int = Field(ge=0, le=15)
    tx: Pin
    rx: Pin
    baud: int = Field(ge=300, le=3_000_000)


class NodeSensor(BaseModel):
    """One sensor as the firmware opens it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    chip: str
    uart: SensorUart | None = None
    address: int | None = Field(default=None, ge=0x08, le=0x77)
    adc: Pin | None = None
    pin: Pin | None = None
    power_pin: Pin | None = None
    interrupt_pin: Pin | None = None
    full_scale_mv: int | None = Field(default=None, ge=100, le=100_000)
    chemistry: str | None = Field(default=None, pattern="^(lisocl2|liion|alkaline)$")
    cells: int | None = Field(default=None, ge=1, le=12)
    series_ohm: int | None = Field(default=None, gt=0)
    ohm_25: int | None = Field(default=None, gt=0)
    beta_k: int | None = Field(default=None, gt=0)
    pull_up: bool | None = None
    closed_level: int | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _known(self) -> "NodeSensor":
        if self.chip not in CHIPS:
            raise ValueError(f"chip {self.chip!r} has no driver; known: {', '.join(sorted(CHIPS))}")
        needs, may = CHIPS[self.chip]
        given = set(self.model_dump(exclude_none=True)) - {"chip"}
        if missing := needs - given:
            raise ValueError(f"chip {self.chip} needs {', '.join(sorted(missing))}")
        if surplus := given - needs - may:
            raise ValueError(f"chip {self.chip} has no use for {', '.join(sorted(surplus))}")
        return self

    def pins(self, key: str) -> dict[str, int]:
        """Its pins by key, for the check that none is used twice."""
        found = {f"{key}.{name}": getattr(self, name) for name in ("adc", "pin", "power_pin", "interrupt_pin")}
        if self.uart is not None:
            found |= {f"{key}.uart.tx": self.uart.tx, f"{key}.uart.rx": self.uart.rx}
        return {name: pin for name, pin in found.items() if pin is not None}


def pins(sensors: list[NodeSensor] | None) -> dict[str, int]:
    """The pins of all sensors by key."""
    found: dict[str, int] = {}
    for number, sensor in enumerate(sensors or []):
        found |= sensor.pins(f"node.sensors[{number}]")
    return found


def problems(
    sensors: list[NodeSensor] | None, adc: list[int], i2c: Any, uarts: dict[int, tuple[int, int]]
) -> list[str]:
    """What is wrong with them on a board with these ADC pins, this [node] i2c, and UARTs of (tx, rx) by id."""
    found = []
    for number, sensor in enumerate(sensors or []):
        key = f"node.sensors[{number}]"
        if sensor.adc is not None and sensor.adc not in adc:
            found.append(f"{key}.adc = {sensor.adc}: no ADC there; pins.adc = {adc}")
        if sensor.address is not None and i2c is None:
            found.append(f"{key}: chip {sensor.chip} sits on I2C; node.i2c is missing")
        if sensor.uart is not None and uarts.get(sensor.uart.id) != (sensor.uart.tx, sensor.uart.rx):
            wired = uarts.get(sensor.uart.id, "not there")
            found.append(f"{key}.uart: {sensor.uart.id} on tx, rx = {sensor.uart.tx}, {sensor.uart.rx}: it is {wired}")
    return found
