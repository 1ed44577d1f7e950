# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Tests whether a platform speaks what its published interface says (R-08). One module for each kind of interface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from provisioning.conformance import mqtt, ngsi_ld, openapi, sensorthings
from provisioning.conformance.http import Http
from provisioning.conformance.steps import Minutes, Step, StepFailed, Target
from provisioning.model.platforms import ApiKind, InterfaceStep, InterfaceTest

__all__ = ["Step", "Target", "run", "summary"]

_OVER_HTTP: Final[dict[str, Callable[[Http, Target, Minutes], Awaitable[None]]]] = {
    "sensorthings": sensorthings.check,
    "ngsi-ld": ngsi_ld.check,
    "openapi": openapi.check,
}


def run(kind: ApiKind, target: Target) -> list[Step]:
    """Test an interface; the steps up to the first one that failed and what was cleared away after it."""
    minutes = Minutes(target)
    with suppress(StepFailed):  # it is in the minutes
        if kind == "mqtt":
            mqtt.check(target, minutes)
        else:
            asyncio.run(_over_http(kind, target, minutes))
    return minutes.steps


async def _over_http(kind: ApiKind, target: Target, minutes: Minutes) -> None:
    async with Http(target) as http:
        await _OVER_HTTP[kind](http, target, minutes)


def summary(kind: ApiKind, url: str, steps: list[Step], at: datetime) -> InterfaceTest:
    """What the register keeps."""
    kept = tuple(InterfaceStep(name=each.name, outcome=each.outcome, found=_line(each) or None) for each in steps)
    outcomes = {each.outcome for each in steps}
    return InterfaceTest(
        at=at, kind=kind, url=url, passed="passed" in outcomes and "failed" not in outcomes, steps=kept
    )


def _line(step: Step) -> str:
    return " ".join(each for each in (step.state, step.found) if each)[:500].strip()
