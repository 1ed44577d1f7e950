# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a report is computed from: devices of the city or of one owner, and what only others can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from pydantic import Field

from provisioning import strict_toml
from provisioning.guidelines.engine import ENDED
from provisioning.model.base import Day, Model, Reference, Text

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord
    from provisioning.model.stock import Stock
    from provisioning.reports.duplicates import Cluster
    from provisioning.reports.heard import Heard
    from provisioning.reports.judged import Judged

ASK_RECEIVER: Final = "whoever runs lykta receive: --received, or lykta report delivery"
"""Who knows what came."""


class Fact(Model):
    """A number from outside the register, with where it comes from: how many lamps there are, how long the streets."""

    id: Reference
    value: Annotated[float, Field(ge=0)]
    date: Day
    source: Text


class Facts(Model):
    """A file of them."""

    fact: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Service:
    """What the log of the register says of tries and of time."""

    days: Mapping[str, float] = field(default_factory=dict)
    """From registration to operation, by device id."""
    tries: Sequence[Try] = ()
    """Registrations and refusals of the year."""


class Try(NamedTuple):
    """One attempt to register a device."""

    owner: str
    device_id: str | None
    """None where the rules refused it."""
    first: bool
    """Whether the same device (DevEUI, or name) was never refused before."""
    rules: tuple[str, ...] = ()
    """That blocked it."""


@dataclass(frozen=True)
class Scope:
    """One report's basis. `devices` are the city's own; those of others are not counted."""

    name: str
    devices: Sequence[DeviceRecord]
    stock: Stock
    judged: Judged
    now: datetime
    year: int
    owner: str | None = None
    """None for the whole city."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    heard: Heard | None = None
    """None when nobody who receives readings was asked."""
    service: Service = Service()
    clusters: Sequence[Cluster] = ()
    """Devices of the whole city that measure the same in the same place for different owners."""

    @property
    def begin_s(self) -> float:
        """Unix time of the period's first moment."""
        return datetime(self.year, 1, 1, tzinfo=UTC).timestamp()

    @property
    def end_s(self) -> float:
        """Unix time of the end of the period: that of the year, or now."""
        return min(datetime(self.year + 1, 1, 1, tzinfo=UTC), self.now).timestamp()

    @property
    def in_use(self) -> list[DeviceRecord]:
        """Operational devices."""
        return [each for each in self.devices if each.lifecycle.stage == "operational"]

    @property
    def alive(self) -> list[DeviceRecord]:
        """All but retired and disposed ones."""
        return [each for each in self.devices if each.lifecycle.stage not in ENDED]


def read_facts(path: Path) -> dict[str, Fact]:
    """Facts of a TOML file, by id. Raises ConfigError."""
    return {fact.id: fact for fact in strict_toml.load(path, Facts).fact}
