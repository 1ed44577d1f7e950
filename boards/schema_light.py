# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What only street lights have in a board file: a DALI bus instead of a dimmer, a meter that tells by pulses."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Pin = Annotated[int, Field(ge=0, le=255)]
Level = Annotated[int, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NodeDali(_Table):
    """The bus, behind a transceiver."""

    tx: Pin
    rx: Pin
    tx_idle: Level | None = None
    """The pin's level while the bus rests; 1 unless a transistor or an optocoupler turns it round."""
    rx_idle: Level | None = None
    address: int | None = Field(default=None, ge=0, le=63)
    """The gear's short address; without it all on the bus are meant."""
    group: int | None = Field(default=None, ge=0, le=15)
    """The group of the bus that is this light, where other gear is on it too: levels are for the group."""


class NodeMeterPulse(_Table):
    """HLW8012 or BL0937 and the resistors around it."""

    chip: Literal["hlw8012", "bl0937"]
    cf: Pin
    cf1: Pin
    sel: Pin
    sel_voltage: Level | None = None
    """SEL's level for the voltage; 1 unless a transistor turns it round."""
    shunt_uohm: int | None = Field(default=None, gt=0, le=1_000_000)
    upper_ohm: int = Field(gt=0, le=100_000_000)
    lower_ohm: int = Field(gt=0, le=1_000_000)


def pins(dali: NodeDali | None, meter: NodeMeterPulse | None) -> dict[str, int]:
    """Pins by key."""
    found = {} if dali is None else {"node.dali.tx": dali.tx, "node.dali.rx": dali.rx}
    if meter is not None:
        found |= {f"node.meter_pulse.{name}": getattr(meter, name) for name in ("cf", "cf1", "sel")}
    return found


def problems(dim_pin: int | None, dali: NodeDali | None, uart: object, meter: NodeMeterPulse | None) -> list[str]:
    """What a board cannot have both of."""
    found = []
    if dim_pin is not None and dali is not None:
        found.append(f"node.dim_pin = {dim_pin} and node.dali: a lamp is dimmed by one of them")
    if uart is not None and meter is not None:
        found.append("node.meter_uart and node.meter_pulse: a light has one meter")
    return found
