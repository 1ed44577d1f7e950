# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What every role gets from the node: settings from afar, commands, maintenance, the daily report about the board.

A role may have, beside what roles/__init__.py asks of it:

- ``attach(service)``: called once; from then on it may use ``settings``, ``clock``, ``contact_s()``, ``maintained()``;
- ``alarms()``: field values that must not wait for the next reading, {} when there are none; asked every second;
- ``command(name, arguments)``: obey a command of its kind, return a status of wire.requests;
- ``await status()``: values of its own fields for the daily report;
- ``await self_test()``: WORKS, BROKEN, ABSENT or WAITS by the name of each component.
"""

import asyncio

import machine

from firmware.node.lazy import borrowed
from firmware.node.log import log, log_error
from firmware.node.settings import Settings
from firmware.node.store import Slots, decode
from firmware.wire.readings import FPORT_FRAGMENTS, FPORT_UPDATE

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  in a comment that names a type

_MAX_REQUESTS = 4
_MAX_ANSWERS = 12
_FIRST_REPORT_MS = 3000  # after the start: let the first readings go, and the session come
_ASLEEP_MS = 60000
_GRACE_MS = 30000
_UPDATE_LOOK_MS = 5000
_TRIAL = 4  # the phase, of wire.update


class Service:
    """*keep* takes the body of a reading and puts it on flash, *boots* is what ``boots.facts`` told."""

    def __init__(self, files, kind: str, role, link, clock, watchdog, keep, boots=None) -> None:
        self.files = files
        self.kind = kind
        self.role = role
        self.link = link
        self.clock = clock
        self.settings = Settings(files, kind)
        self._controls = "wire.kinds." + kind + "_controls"
        self.failed = 0  # components that the last self-test found broken, as bits
        self._watchdog = watchdog
        self._keep = keep
        self._network = None  # type: Any
        self._requests = []  # type: list[tuple[int, bytes]]
        self._asked = asyncio.Event()
        self._reports = False
        self._maintained_until_s = 0
        self._restart = None  # type: asyncio.Task | None
        self._due_ms = None  # type: int | None  # of the next report
        self.rest_end = 0  # until when nothing is to be done here; 0 while something is
        self.latest = None  # type: bytes | None  # the last reading, where somebody can ask for it
        self._console = None  # type: Any
        self.boots = boots or (0,) * 6
        self._updates = None  # type: Any  # while one is coming, or on trial
        self._lent = None  # type: Any  # its code
        if hasattr(role, "attach"):
            role.attach(self)

    def attach(self, network) -> None:
        """Take the network, whose requests come here."""
        self._network = network
        network.on_request = self._take
        if hasattr(self.link, "answer"):
            network.on_proprietary = self._proprietary

    async def _proprietary(self, phy: bytes) -> bool:
        if self._console is None:
            from firmware.node.console import Console

            self._console = Console(self, self.link)
        return await self._console.take(phy)

    def measured(self, encode, values: dict) -> None:
        """Keep the reading that was just made, where somebody can ask for it."""
        if hasattr(self.link, "answer"):
            self.latest = encode(values)

    def waiting(self) -> int:
        """Return how many readings wait for their receipt."""
        return 0 if self._network is None else self._network.held()

    async def obey(self, fport: int, payload: bytes) -> list:
        """Do what a request asks; return the payloads that answer it."""
        if fport in (FPORT_UPDATE, FPORT_FRAGMENTS):
            if self._updates is None:
                self._keep_updates()
            return await self._updates.take(fport, payload)
        names = "node.tables", self._controls, "wire.kinds.common_controls", "wire.shapes", "wire.requests"
        with borrowed("desk", *names) as desk:
            return await desk.Desk(self).answer(fport, payload)

    def interval_ms(self, made_ms: int) -> int:
        """Return how long to wait from reading to reading; *made_ms* is what the board was made with."""
        return self.settings["interval_s"] * 1000 or made_ms

    def contact_s(self) -> int:
        """Return for how long nothing authentic was heard from the network."""
        if self._network is None:
            return self.clock.uptime_s()
        return (self.clock.monotonic_ms() - self._network.contact_ms) // 1000

    def contact_lost(self) -> bool:
        """Tell whether the network was silent for longer than the settings allow."""
        return self.contact_s() > self.settings["contact_lost_h"] * 3600

    def maintain(self, minutes: int) -> None:
        """A person works at the device: no alarms for so long; 0 ends it."""
        self._maintained_until_s = self.clock.uptime_s() + 60 * minutes
        log("service", "maintenance for %d minutes" % minutes)

    def maintained(self) -> bool:
        """Tell whether a person works at the device."""
        return self.clock.uptime_s() < self._maintained_until_s

    def alarms(self) -> dict:
        """Return what the role has to say at once."""
        take = getattr(self.role, "alarms", None)
        values = {} if take is None else take()
        if values and self.maintained():
            log("service", "maintenance: not reported: %s" % ", ".join(values))
            return {}
        return values

    def report_status(self) -> None:
        """Make a status report soon."""
        self._reports = True
        self._asked.set()

    async def self_test(self) -> dict:
        """Test all components; return results by key."""
        with self._status() as status:
            results = await status.self_test(self)
            self.failed = status.failed_bits(results)
        return results

    def restart(self, after_ms: int) -> None:
        """Start anew, once what waits to be sent has had its time."""
        log("service", "restart in %d ms" % after_ms)
        self._restart = asyncio.create_task(_restart(after_ms))

    async def serve(self) -> None:
        """Task: obey what the network asks, and report: soon after the start, once a day, and when asked to."""
        settled = Slots(self.files, "release").payload
        if settled and decode(settled)[1] == _TRIAL and self._updates is None:
            self._keep_updates()  # else nothing of it is loaded: even its names would stay
        if self._due_ms is None:
            self._due_ms = self.clock.monotonic_ms() + _FIRST_REPORT_MS
        while True:
            awake = self._restart is not None or self._updates is not None
            self.rest_end = 0 if awake else self._due_ms  # deep sleep ends in a start, and a trial has only one
            longest_ms = _ASLEEP_MS if self._updates is None else _UPDATE_LOOK_MS
            left_ms = min(max(self._due_ms - self.clock.monotonic_ms(), 0), longest_ms)
            self._watchdog.expect("service", left_ms + _GRACE_MS)
            try:
                await asyncio.wait_for_ms(self._asked.wait(), left_ms)
            except asyncio.TimeoutError:
                pass
            self._asked.clear()
            self.rest_end = 0
            while self._requests:
                fport, payload = self._requests.pop(0)
                for each in await self.obey(fport, payload):
                    if len(self._network.outgoing) < _MAX_ANSWERS:
                        self._network.outgoing.append((fport, each))
                self._network.wake()
            if self._updates is not None and await self._updates.is_over():
                self._updates = None
                self._lent.__exit__()
            if self._reports or self.clock.monotonic_ms() >= self._due_ms:
                self._reports = False
                await self.make_report()
                self._due_ms = self.clock.monotonic_ms() + self.settings["status_every_h"] * 3600000

    async def breathe(self) -> None:
        """Say that a long job goes on, and let others work for a moment."""
        self._watchdog.expect("service", _GRACE_MS)
        await asyncio.sleep_ms(0)

    def answered(self) -> bool:
        """Tell whether the network has receipted something since the start."""
        return self._network is not None and self._network.receipts > 0

    def _keep_updates(self) -> None:
        self._lent = borrowed("update_desk", "node.update_stage", "wire.update")
        self._updates = self._lent.__enter__().Keeper(self)

    async def make_report(self) -> None:
        """Ask, give the code for it back, then store: there may be no room for both at once."""
        try:
            with self._status() as status:
                bodies = await status.bodies(self)
            for body in bodies:
                self._keep(body)
        except (OSError, MemoryError) as error:
            log_error("service: a status report was not kept", error)

    def _status(self) -> borrowed:
        return borrowed("status", self._controls, "wire.kinds.common_controls", "wire.kinds.common")

    def _take(self, fport: int, payload: bytes) -> None:
        if len(self._requests) >= _MAX_REQUESTS:
            log("service", "too many requests; one is not answered")
            return
        self._requests.append((fport, payload))
        self._asked.set()


async def _restart(after_ms: int) -> None:
    await asyncio.sleep_ms(after_ms)
    machine.reset()
