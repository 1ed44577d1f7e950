# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Everything that can be said about a running gateway, gathered in one plain dictionary.

The status page, the metrics, ``lykta-gateway status`` and the watchdog's message are all made of this one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from firmware.wire.region import BANDS
from gateway.clock import plausible
from gateway.errors import StoreCorrupt, StoreUnavailable
from gateway.operate import health
from gateway.outbox.waiting import Waiting, waiting
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.clock import Clock
    from gateway.config import Loaded
    from gateway.ends import Ends
    from gateway.identity import Identity
    from gateway.inbox import Inbox
    from gateway.intake import Intake
    from gateway.network.duty import DutyBudget
    from gateway.operate.counters import Counters
    from gateway.operate.history import History
    from gateway.operate.sightings import Sightings
    from gateway.operate.stages import Stages
    from gateway.outbox.store import Outbox
    from gateway.standby import NotTaking
    from gateway.supervisor import Supervisor

MAX_DEVICES = 500
"""Devices in one overview: those heard last."""
_KEEP_S = 0.5


@dataclass(frozen=True, slots=True)
class _Disk:
    """What only the thread that owns the databases can tell."""

    waiting: dict[str, Waiting]
    used_bytes: int
    stream_id: str
    devices: list[dict[str, Any]]
    held: dict[str, tuple[int, int]]


@dataclass
class Parts:
    """What an overview looks at."""

    clock: Clock
    counters: Counters
    stages: Stages
    ends: Ends
    budget: DutyBudget
    sightings: Sightings
    history: History
    queue: Inbox
    name_of: Callable[[bytes], str]
    """Name of a registered device. Raises ProvisioningError. In the writer's thread."""
    with_outbox: Callable[[Callable[[Outbox], _Disk]], Awaitable[_Disk]]
    page: Callable[[], dict[str, Any]]
    """How the status page is, as `StatusPage.status` says it."""


class Overview:
    """Gathers; keeps what it gathered for half a second, so that many who look cost as much as one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started_at = parts.clock.wall_s()
        self._started_s = parts.clock.monotonic_s()
        self._names: dict[bytes, str] = {}
        self._last: tuple[float, dict[str, Any]] = (float("-inf"), {})
        self._lock = asyncio.Lock()
        self.reload: dict[str, Any] | None = None
        """The outcome of the last reload."""

    async def gather(
        self, loaded: Loaded, identity: Identity, intake: Intake | NotTaking, tasks: Supervisor | None
    ) -> dict[str, Any]:
        """Return the overview."""
        async with self._lock:
            if time.monotonic() - self._last[0] > _KEEP_S:
                found = await self._gather(loaded, identity, intake, tasks)
                self._last = time.monotonic(), found
            return self._last[1]

    def forget(self) -> None:
        """Something changed that who asks next must see."""
        self._last = (float("-inf"), {})

    async def _gather(
        self, loaded: Loaded, identity: Identity, intake: Intake | NotTaking, tasks: Supervisor | None
    ) -> dict[str, Any]:
        parts = self._parts
        now_s, wall_s = parts.clock.monotonic_s(), parts.clock.wall_s()
        counts = parts.counters.snapshot()
        disk, disk_error = None, ""
        try:
            disk = await parts.with_outbox(self._disk)
        except (StoreUnavailable, StoreCorrupt) as error:
            disk_error = str(error)
        found: dict[str, Any] = {
            "version": _version(),
            "gateway": identity.eui,
            "pid": os.getpid(),
            "now": wall_s,
            "started_at": self._started_at,
            "uptime_s": round(now_s - self._started_s, 1),
            "config": str(loaded.path),
            "clock": {"plausible": plausible(wall_s), "steps": counts.get("clock", {}).get("steps", 0)},
            "certificate": {"not_after": identity.not_after.timestamp()},
            "stages": [asdict(state) | {"stuck": state.stuck} for state in parts.stages.states()],
            "queue": {"frames": parts.queue.qsize(), "limit": parts.queue.maxsize},
            "intake": {"state": intake.state, "why": intake.why or disk_error},
            "counters": counts,
            "links": [self._link(name, tasks) for name in parts.ends.links],
            "platforms": [self._platform(name, disk, wall_s) for name in parts.ends.platforms],
            "outbox": self._outbox(loaded, disk, counts),
            "duty": self._duty(now_s),
            "devices": [] if disk is None else [self._device(each, disk) for each in disk.devices],
            "history": parts.history.series(),
            "reload": self.reload,
            "page": parts.page(),
        }
        found["problems"] = [asdict(problem) for problem in health.problems(found)]
        found["live"] = not any(stage["stuck"] for stage in found["stages"])
        found["ready"] = health.ready(found)
        return found

    def _disk(self, outbox: Outbox) -> _Disk:
        """Runs in the writer's thread."""
        devices = self._parts.sightings.snapshot(MAX_DEVICES)
        held = {}
        for each in devices:
            dev_eui = bytes.fromhex(each["dev_eui"])
            receipt = outbox.receipt(dev_eui)
            held[each["dev_eui"]] = receipt.contiguous, len(receipt.above)
            if dev_eui not in self._names:
                try:
                    self._names[dev_eui] = self._parts.name_of(dev_eui)
                except ProvisioningError:
                    continue  # retired, or the register is away: the number will do
        if len(self._names) > 4 * MAX_DEVICES:
            self._names.clear()
        return _Disk(
            {name: waiting(outbox, name) for name in self._parts.ends.platforms},
            outbox.used_bytes(),
            outbox.stream_id.hex(),
            devices,
            held,
        )

    def _device(self, described: dict[str, Any], disk: _Disk) -> dict[str, Any]:
        contiguous, above = disk.held[described["dev_eui"]]
        name = self._names.get(bytes.fromhex(described["dev_eui"]), "")
        return described | {"name": name, "held": contiguous, "held_above": above}

    def _link(self, name: str, tasks: Supervisor | None) -> dict[str, Any]:
        link = self._parts.ends.links[name]
        status = getattr(link, "status", None)
        kind = type(link).__module__.removeprefix("gateway.links.").split(".")[0]
        runs = tasks is not None and tasks.runs(f"link {name}")
        return {"name": name, "type": kind, "runs": runs, **({} if status is None else status())}

    def _platform(self, name: str, disk: _Disk | None, wall_s: float) -> dict[str, Any]:
        platform = self._parts.ends.platforms[name]
        waits = None if disk is None else disk.waiting.get(name)
        since_s = None if waits is None else waits.since_s
        return {
            "name": name,
            "type": type(platform).__module__.rpartition(".")[2],
            "connected": platform.in_flight is not None,
            "in_flight": platform.in_flight or 0,
            "waiting_envelopes": 0 if waits is None else waits.envelopes,
            "oldest_waiting_s": None if since_s is None else max(0.0, round(wall_s - since_s, 1)),
            **(platform.status() if hasattr(platform, "status") else {}),
        }

    def _outbox(self, loaded: Loaded, disk: _Disk | None, counts: dict[str, dict[str, int]]) -> dict[str, Any]:
        return {
            "used_bytes": 0 if disk is None else disk.used_bytes,
            "max_bytes": loaded.config.outbox.max_bytes,
            "stream": "" if disk is None else disk.stream_id,
            "new_readings": counts.get("readings", {}).get("new", 0),
        }

    def _duty(self, now_s: float) -> list[dict[str, Any]]:
        now_us = round(now_s * 1_000_000)
        used_us: dict[tuple[str, int], int] = defaultdict(int)
        for gateway, band, _age_us, airtime_us in self._parts.budget.save(now_us):
            used_us[gateway, band] += airtime_us
        return [
            {
                "gateway": gateway,
                "low_hz": BANDS[band][0],
                "high_hz": BANDS[band][1],
                "used_ms": round(airtime_us / 1000, 1),
                "limit_ms": self._parts.budget.limit_us(band) / 1000,
            }
            for (gateway, band), airtime_us in sorted(used_us.items())
        ]


def _version() -> str:
    try:
        return metadata.version("lykta")
    except metadata.PackageNotFoundError:
        return "unknown"
