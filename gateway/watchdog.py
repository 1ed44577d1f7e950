# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Feeds systemd's watchdog while every stage makes progress, and only then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.operate import notify
from gateway.operate.logs import EventLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.operate.stages import Stages

STAGE = "event loop"
_LIMIT_S = 20.0
_EVERY_S = 5.0
_LEAST_EVERY_S = 0.1


async def watch(stages: Stages, probe: Callable[[], None]) -> None:
    """Send a probe through the pipeline now and then, and look who moved."""
    limit_s = notify.watchdog_s()
    every_s = _EVERY_S if limit_s is None else max(_LEAST_EVERY_S, min(_EVERY_S, limit_s / 4))
    stages.add(STAGE, _LIMIT_S)
    log = EventLog("watchdog")
    told: set[str] = set()
    while True:
        stages.beat(STAGE)
        probe()
        stuck = stages.stuck()
        for state in stuck:
            if state.name not in told:
                log.error(
                    "stage_stuck",
                    stage=state.name,
                    silent_s=round(state.silent_s, 1),
                    effect="the watchdog gets no food",
                )
        told = {state.name for state in stuck}
        if not stuck:
            notify.fed()
        await asyncio.sleep(every_s)
