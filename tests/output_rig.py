# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An output on a real outbox with real envelopes, inside a test's event loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway import platforms, plugins
from gateway.operate.counters import Counters
from gateway.outbox.devices import Arrival
from gateway.outbox.feed import Feed
from gateway.outbox.store import Limits, Outbox
from gateway.platforms import Context, Platform
from gateway.records.reading import Payload, Reading
from tests.outbox_rig import TestClock
from tests.releases_rig import START_S, Register, SenmlSealer

PATIENCE_S = 60.0


class OutputRig:
    """One platform and its outbox; ``async with`` runs it."""

    def __init__(
        self, folder: Path, table: dict[str, Any], register: Register | None = None, secret: bytes = b""
    ) -> None:
        self.folder = folder
        self.register = register or Register()
        self.counters = Counters()
        self.outbox = Outbox(folder / "outbox.db", SenmlSealer(), ("city",), Limits(max_batch=4), TestClock())
        self.seqs: dict[int, int] = {}
        table = {"name": "city", "retry_max_s": 0.5, **table}
        if table["type"] == "files":
            del table["retry_max_s"]
        module = plugins.load(platforms, table["type"])
        self.platform: Platform = module.build(module.Settings.model_validate(table), self.context(secret))

    def context(self, secret: bytes, **more: Any) -> Context:
        """What the platform may use of the gateway."""
        return Context(
            "0200000000000a01", b"certificate", self.folder, lambda _: secret, self.counters, random.Random(1),
            state_dir=self.folder, directory=self.register, **more,
        )  # fmt: skip

    async def __aenter__(self) -> OutputRig:
        async def call(function: Callable[[Outbox], object]) -> object:
            return function(self.outbox)

        self.feed = Feed("city", call)
        self._task = asyncio.create_task(self.platform.run(self.feed))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        assert self._task.cancelled(), self._task.exception()
        self.outbox.close()

    def accept(self, kind: str, number: int, *values: dict[str, Any]) -> None:
        """Store readings of one device, a minute apart."""
        readings = []
        for each in values:
            seq = self.seqs[number] = self.seqs.get(number, 0) + 1
            time_s = START_S + 60 * seq
            readings.append(Reading(number.to_bytes(8, "big"), seq, kind, time_s, "device", each, 0.0))
        self.outbox.accept([Arrival(number.to_bytes(8, "big"), Payload(tuple(readings), (), None))])
        if hasattr(self, "feed"):
            self.feed.wake()

    def lights(self, numbers: Sequence[int], readings: int = 1) -> None:
        """Store some readings of some street lights."""
        for number in numbers:
            self.accept("street_light", number, *({"lamp_on": True, "dim_pct": 40, "power_w": 60.5},) * readings)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - conditions in other threads and objects
                await asyncio.sleep(0.01)

    async def all_taken(self) -> None:
        """Wait until the note on disk says that everything was taken."""
        await self.until(lambda: self.outbox.lanes("city").through >= self.outbox.last())

    def counted(self, name: str) -> int:
        return self.counters.snapshot().get("platforms", {}).get(f"city_{name}", 0)
