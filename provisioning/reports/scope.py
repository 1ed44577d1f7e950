# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a report is computed from: devices of the city or of one owner, and what only others can tell."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from provisioning import strict_toml
from provisioning.errors import ConfigError
from provisioning.identities import parse_eui
from provisioning.model.base import Day, Model, Reference, Text
from provisioning.model.device import DeviceRecord
from provisioning.model.stock import Stock


class Fact(Model):
    """A number from outside the register, with where it comes from: how many lamps there are, how long the streets."""

    id: Reference
    value: Annotated[float, Field(ge=0)]
    date: Day
    source: Text


class Facts(Model):
    """A file of them."""

    fact: tuple[Fact, ...] = ()


class Delivery(NamedTuple):
    """What a gateway heard of a device in the period."""

    expected: int
    received: int


@dataclass(frozen=True)
class Scope:
    """One report's basis. `devices` are the city's own; those of others are not counted."""

    name: str
    devices: Sequence[DeviceRecord]
    stock: Stock
    now: datetime
    year: int
    facts: Mapping[str, Fact] = field(default_factory=dict)
    delivery: Mapping[str, Delivery] | None = None
    """By DevEUI; None when no gateway was asked."""
    days_to_service: Mapping[str, float] = field(default_factory=dict)
    """By device id: from registration to operation."""
    clusters: Sequence[Sequence[str]] | None = None
    """Ids of devices that measure the same in the same place for different owners; None when nobody looked."""

    @property
    def today(self) -> date:
        """The day of the report."""
        return self.now.date()

    @property
    def in_use(self) -> list[DeviceRecord]:
        """Operational devices."""
        return [each for each in self.devices if each.lifecycle.stage == "operational"]

    @property
    def alive(self) -> list[DeviceRecord]:
        """All but retired and disposed ones."""
        return [each for each in self.devices if each.lifecycle.stage not in {"retired", "disposed"}]


def read_facts(path: Path) -> dict[str, Fact]:
    """Facts of a TOML file, by id. Raises ConfigError."""
    return {fact.id: fact for fact in strict_toml.load(path, Facts).fact}


def read_delivery(path: Path) -> dict[str, Delivery]:
    """Deliveries of a CSV file with dev_eui, expected, received. Raises ConfigError, InvalidIdentity."""
    found = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                counts = Delivery(int(row["expected"]), int(row["received"]))
                found[parse_eui(row["dev_eui"]).hex()] = counts
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ConfigError(
            "The file of deliveries cannot be used.",
            value=path,
            reason=f"{type(error).__name__}: {str(error)[:100]}",
            next_step="its first line is dev_eui,expected,received; one line for each device",
        ) from error
    return found
