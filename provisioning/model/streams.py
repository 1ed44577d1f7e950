# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a device measures, who answers for it, who may see it, how long it is kept: `streams` of a device record."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provisioning.model.base import MAX_ITEMS, Day, Model, OrgId, Reference, Text, Url

Class = Annotated[int, Field(ge=0, le=4)]


class Klassa(Model):
    """Information classes (KLASSA): K confidentiality, R correctness, T availability; from 0 to 4."""

    K: Class
    R: Class
    T: Class
    scale: Literal["0-4", "1-4"] = "0-4"
    date: Day
    by: Text
    case_ref: Reference | None = None

    def highest(self) -> int:
        """Return the highest of the three."""
        return max(self.K, self.R, self.T)


class Openness(Model):
    """The decision on who may have the data."""

    level: Literal["open", "internal", "restricted"]
    reason: Literal["SECRECY", "PERSONAL", "SECURITY", "THIRD_PARTY_RIGHTS", "QUALITY", "COST"] | None = None
    decided_by: OrgId | None = None
    date: Day | None = None
    license: Url | None = None
    dataset_id: Reference | None = None
    hvd: Reference | None = None
    """Category of high-value data, when the open-data function has asserted one."""
    quality_note: Text | None = None
    uses: Annotated[int, Field(ge=0)] | None = None
    """How often it was fetched in a year, and when that was counted."""
    uses_counted: Day | None = None


class Retention(Model):
    """How long data is kept: raw on the edge in hours, raw and aggregated on the platform in days."""

    edge_h: Annotated[float, Field(ge=0)]
    raw_d: Annotated[float, Field(ge=0)]
    agg_d: Annotated[float, Field(ge=0)]
    aggregate_minutes: Annotated[float, Field(gt=0)] | None = None
    aggregate_k: Annotated[int, Field(ge=1)] | None = None
    """The smallest group that an aggregate may count."""


class Consumer(Model):
    """Somebody who uses the data."""

    org: OrgId
    system: Text | None = None
    since: Day | None = None
    purpose: Text | None = None


class Sink(Model):
    """Where the gateway delivers to."""

    platform_id: Reference
    kind: Literal["integration", "bigdata", "direct"]
    reason: Text | None = None


class Stream(Model):
    """One property that a device measures."""

    property: Text
    """In the vocabulary of the rule pack: `traffic.flow.vehicle`, `waste.fill_level`."""
    unit: Text | None = None
    """UCUM."""
    interval_s: Annotated[float, Field(gt=0)] | None = None
    accuracy: Text | None = None
    accuracy_pct: Annotated[float, Field(gt=0, le=100)] | None = None
    model_entity: Text | None = None
    info_owner: OrgId | None = None
    fields_allowed: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] | None = None
    klassa: Klassa | None = None
    sources: Annotated[tuple[Reference, ...], Field(max_length=MAX_ITEMS)] = ()
    openness: Openness | None = None
    retention: Retention | None = None
    consumers: Annotated[tuple[Consumer, ...], Field(max_length=MAX_ITEMS)] = ()
    sinks: Annotated[tuple[Sink, ...], Field(max_length=MAX_ITEMS)] = ()
    api_url: Url | None = None
    bulk_url: Url | None = None
    """Where all of it can be fetched at once."""
    delay_s: Annotated[float, Field(ge=0)] | None = None
    """Measured: how old a value is when it can be fetched."""
