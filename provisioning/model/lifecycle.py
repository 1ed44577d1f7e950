# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stages of a device's life, and which may follow which (guidelines 2.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from provisioning.model.base import Day, DeviceId, LongText, Model, Moment, Reference, Text

Stage = Literal[
    "planned",
    "registered",
    "needs_approval",
    "approved",
    "installed",
    "operational",
    "suspended",
    "retired",
    "disposed",
]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

TRANSITIONS: Final[Mapping[Stage, frozenset[Stage]]] = {
    "planned": frozenset({"registered", "needs_approval", "approved", "retired"}),
    "registered": frozenset({"needs_approval", "approved", "retired"}),
    "needs_approval": frozenset({"registered", "approved", "retired"}),
    "approved": frozenset({"needs_approval", "installed", "suspended", "retired"}),
    "installed": frozenset({"operational", "suspended", "retired"}),
    "operational": frozenset({"suspended", "retired"}),
    "suspended": frozenset({"approved", "installed", "operational", "retired"}),
    "retired": frozenset({"disposed"}),
    "disposed": frozenset(),
}
"""What may follow each stage. A retired device never comes back: its keys are gone."""

TALKING: Final[frozenset[Stage]] = frozenset({"approved", "installed", "operational"})
"""A gateway takes readings of devices in these stages. Approved ones too: a board joins while it is being installed."""

STANDING: Final[frozenset[Stage]] = frozenset({"planned", "registered", "needs_approval", *TALKING})
"""Devices that count when somebody asks what stands, or is to stand, in a place."""


def may_follow(before: Stage, after: Stage) -> bool:
    """Return whether a device may go from stage `before` to `after`."""
    return after in TRANSITIONS[before]


class Retirement(Model):
    """LIFE-4: what has to be done before a retired device counts as disposed of."""

    date: Day
    by: Text
    keys_revoked: bool = False
    data_wiped: bool = False
    taken_down: Day | None = None
    photo_ref: Reference | None = None
    streams_closed: bool = False
    waste_ref: Reference | None = None


class Lifecycle(Model):
    """`lifecycle` of a device record."""

    stage: Stage = "planned"
    testbed: bool = False
    testbed_until: Day | None = None
    planned_install: Day | None = None
    installed_at: Moment | None = None
    installed_by: Text | None = None
    position_confirmed: bool | None = None
    model_confirmed: bool | None = None
    planned_end: Day | None = None
    replacement_plan: LongText | None = None
    confirmed_at: Day | None = None
    """When its owner last said that it is still needed."""
    battery_years: Annotated[float, Field(gt=0, le=50)] | None = None
    mains: bool | None = None
    replaces: DeviceId | None = None
    retires_at: Day | None = None
    """When it is to be retired, for instance because another replaces it."""
    retired: Retirement | None = None
