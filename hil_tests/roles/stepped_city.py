# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board in the air and a gateway's stages behind it, in stepped time: minutes of a scenario take seconds.

Shipped: the firmware on MicroPython, on simulated chips; the gateway's network server, intake and outbox, on disk; the
consumer. Simulated: time, the air, and the concentrator's way to the gateway. Whole processes are in the other files.
"""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from boards.virtual.stepped import clock
from firmware.node import slots
from firmware.wire import cbor
from gateway.links import Downlink, Uplink
from tests import gateway_rig
from tests.frame_gateway import Stages
from tests.node_rig import identity
from tests.outbox_rig import TestClock
from tests.radio_city import City

LINE = "line"
SEED = 5
LONG_S = 20_000  # of stepped time
INTERVAL_MS = 60_000
"""What a board measures in it fits the air at any data rate, and it joins with one of its own choice."""


class _Far:
    """The network that the air's gateway asks; its clock is that of the loop."""

    def __init__(self, stages: Stages, wall: TestClock) -> None:
        self._stages, self._wall = stages, wall
        self._now_s = clock()
        self._last_s = self._now_s()

    def uplink(self, phy: bytes) -> list[bytes]:
        now_s = self._now_s()
        self._wall.sleep(now_s - self._last_s)
        self._last_s = now_s
        answers = self._stages.intake.process([Uplink(LINE, LINE, phy, self._wall.wall)])
        return [answer.phy for answer in answers if isinstance(answer, Downlink)]


class SteppedCity:
    """One board of a kind in a scenario, and what of it comes to the city. *settings* by key, as on flash."""

    def __init__(
        self, folder: Path, kind: str, board: str, scenario: str, settings: "dict[int, object] | None" = None
    ) -> None:
        self._folder, self._kind, self._settings = folder, kind, settings
        self._options = {"board": board, "scenario_name": scenario, "seed": SEED}
        self._stack = AsyncExitStack()
        self._read = 0
        self._found: dict[int, dict[str, Any]] = {}

    async def __aenter__(self) -> "SteppedCity":
        city = gateway_rig.City(self._folder / "city")
        self._stack.callback(city.registry.close)
        keys = {name: identity()[name] for name in ("dev_eui", "join_eui", "app_key")}
        city.registry.register_device(self._kind, **keys)
        wall = TestClock(wall=time.time())  # within the certificate's time
        self._stages = self._stack.enter_context(Stages(city, self._folder / "state", wall, SEED))
        self._verifier = city.verifier()
        files = {"/data/settings.a": slots.pack(1, cbor.dumps(self._settings))} if self._settings else None
        self._radio = City(self._folder, 1, {}, self._options, files, kind=self._kind, interval_ms=INTERVAL_MS)
        self._radio.gateway.server = _Far(self._stages, wall)  # type: ignore[assignment]
        await self._stack.enter_async_context(self._radio)
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._stack.aclose()

    def told(self, name: str) -> list[Any]:
        """What the verified readings say of a field, in the order of their numbers."""
        for row in self._stages.outbox.read(self._read, 1 << 20):
            self._read = row.row
            self._found |= {each.seq: each.values for each in self._verifier.check(row.message).readings}
        return [self._found[seq][name] for seq in sorted(self._found) if name in self._found[seq]]

    @property
    def state(self) -> dict[str, Any]:
        """The board's."""
        return self._radio.board.state()

    def hold(self, name: str, value: float) -> None:
        """Keep a value of the surroundings as it is now."""
        self._radio.board.hardware.environment.hold(name, value)

    async def power(self, on: bool) -> None:
        """Cut the board's supply, or give it back."""
        await (self._radio.board.power_on() if on else self._radio.board.power_cut())

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait, in stepped time."""
        await self._radio.until(condition, what, LONG_S)

    async def until_alarm(self, name: str, raised: bool = True) -> None:
        """Wait until the city has been told so last."""
        await self.until(lambda: self.told(name)[-1:] == [raised], f"{name} = {raised} at the city")

    async def end(self) -> None:
        """Nothing was wired wrongly, nothing is missing, and nothing came twice."""
        await self.until(lambda: sorted(self._found) == list(range(1, len(self._found) + 1)), "what came before it")
        assert self.state["misuses"] == 0
        report = self._verifier.report()
        assert (report.missing, report.duplicates, report.forks, report.refused) == (0, 0, 0, {})
