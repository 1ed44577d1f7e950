# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node at work: a few tasks around one queue. Samples, sends, listens; every task must come back in time."""

import asyncio
import gc
import os
import sys
import time

from firmware.node.alarms import Alarms
from firmware.node.clock import Clock
from firmware.node.config import board_int
from firmware.node.delivery import Delivery
from firmware.node.ecb import ecb
from firmware.node.errors import LeaveToRepl, StoreCorrupt
from firmware.node.jitter import jitter
from firmware.node.lazy import borrowed
from firmware.node.log import log, log_error
from firmware.node.mac import Mac
from firmware.node.network import Network
from firmware.node.queue import ReadingQueue
from firmware.node.segments import TIME_UNIX, TIME_UPTIME
from firmware.node.service import Service
from firmware.node.store import Slots, decode
from firmware.node.watchdog import Watchdog
from firmware.wire import cbor, kinds, readings

_CONTROL_MS = 1000
_GRACE_MS = 30000  # beyond its own waiting, a task may take so long
_RESTART_MS = 5000
_MAX_FAILURES = 5  # failures of one task, each soon after the one before, that only a reset may cure
_FORGIVE_MS = 600000
_WDT_MS = 60000  # on a board without one
_BODY_BYTES = 36  # 51 at DR0, less a request for a receipt, the time and a long number
_STATUS_EVERY = 32  # readings
_CLOCK_REFRESH_MS = 86400000  # the network is asked so often; the clock of deep sleep is a coarser one
_ALARM_EVERY_MS = 60000  # a cause that comes and goes must not use up the air time


class Node:
    """Joins the parts. *role*, *link* and *wdt* are open already; ``run`` returns only by an exception."""

    def __init__(self, files, settings, role, link, wdt, boots=None, woken=None) -> None:
        self._deep = "deep_sleep_s" in settings.board and hasattr(role, "nap")
        self.clock = Clock(time.ticks_ms, time.ticks_diff, _CLOCK_REFRESH_MS // (6 if self._deep else 1))
        self.boot = int.from_bytes(os.urandom(4), "little")
        self._settings = settings
        self._role = role
        self._kind = kinds.load(settings.kind)
        self._watchdog = Watchdog(wdt, self.clock.monotonic_ms)
        mac = _open_mac(files, settings)
        self.queue = ReadingQueue(files, "queue", settings.queue_bytes)
        delivery = Delivery(
            self.queue,
            self._encode,
            settings.receipt_every,
            link.reply_timeout_ms,
            3 * settings.interval_ms + link.reply_timeout_ms,
            jitter,
        )
        self._alarms = Alarms(self.queue, self._encode, link.reply_timeout_ms, jitter)
        self.network = Network(mac, link, delivery, self._alarms, self.queue, self.clock, self._watchdog)
        self._unmade = 0
        self._raised = asyncio.Event()
        self._alarm_at = -_ALARM_EVERY_MS
        role.alarm = self._raised.set
        self.service = Service(files, settings.kind, role, link, self.clock, self._watchdog, self._keep_body, boots)
        self.service.attach(self.network)
        self.sample_due = 0  # of the clock; earlier than now: at work on it
        if woken is not None:
            with borrowed("slumber") as slumber:
                slumber.restore(self, woken)
        if getattr(role, "sleeps", False) and hasattr(link, "may_sleep"):
            self._sleep_between(link)
        settings.board = {}  # all that reads it has done so; its map is large
        self._ended = asyncio.Event()
        self._reason = LeaveToRepl()  # type: BaseException

    async def run(self) -> None:
        """Work until something ends it. Raises LeaveToRepl, or what a task failed with again and again."""
        held, dropped, damaged = self.queue.held(), self.queue.dropped, self.queue.damaged
        log("node", "%s: %d readings kept, %d dropped, %d damaged" % (self._kind.KIND, held, dropped, damaged))
        jobs = (
            ("control", self._control),
            ("sample", self._sample),
            ("uplink", self.network.uplink),
            ("downlink", self.network.downlink),
            ("service", self.service.serve),
            ("watchdog", self._watchdog.run),
        )
        tasks = [asyncio.create_task(self._keep(name, job)) for name, job in jobs]
        await self._ended.wait()
        for task in tasks:
            while not task.done():  # asyncio.wait_for swallows a cancellation that comes as its time is over
                task.cancel()
                await asyncio.sleep_ms(0)
        raise self._reason

    async def _keep(self, name: str, job) -> None:
        """Run a task, and again after a failure; give up when that does not help."""
        failures = 0
        while True:
            begun = self.clock.monotonic_ms()
            try:
                await job()
            except LeaveToRepl as error:
                self._end(error)
                return
            except Exception as error:  # noqa: BLE001  one task's fault must not stop the others
                log_error(name, error)
                sys.print_exception(error)
                failures = failures + 1 if self.clock.monotonic_ms() - begun < _FORGIVE_MS else 1
                if failures >= _MAX_FAILURES:
                    self._end(error)
                    return
            self._watchdog.expect(name, _GRACE_MS)
            await asyncio.sleep_ms(_RESTART_MS)

    def _end(self, reason: BaseException) -> None:
        self._reason = reason
        self._ended.set()

    def _sleep_between(self, link) -> None:
        from firmware.node import rest

        self._watchdog.check_ms = board_int(self._settings.board, "wdt_ms", _WDT_MS) // 3
        deep = rest.Deep(self, self._settings.board) if self._deep else None
        rest.sleep_between(link.may_sleep, self._watchdog.check_ms, deep)

    async def _control(self) -> None:
        while True:
            self._role.control()
            urgent = self.service.alarms()
            if urgent:
                self._keep_values(urgent, True)
            wait_ms = getattr(self._role, "control_ms", _CONTROL_MS)
            self._watchdog.expect("control", wait_ms + _GRACE_MS)
            await asyncio.sleep_ms(wait_ms)

    async def _sample(self) -> None:
        wait_ms = getattr(self._role, "wait_ms", None)  # a role with its own idea of when
        count = 0
        due = max(self.sample_due, self.clock.monotonic_ms())
        while True:
            while await self._alarm_before(due):
                await self._make_reading(True)
            self.sample_due = 0
            await self._make_reading()
            gc.collect()  # at a quiet moment, not in the middle of a frame
            if count % _STATUS_EVERY == 0:
                memory = (gc.mem_alloc(), gc.mem_free())
                log("node", "%d readings wait; heap: %d bytes used, %d free" % ((self.queue.held(),) + memory))
            count += 1
            now = self.clock.monotonic_ms()
            interval_ms = self.service.interval_ms(self._settings.interval_ms)
            due = due + interval_ms if wait_ms is None else now + wait_ms(interval_ms)
            self.sample_due = due = max(due, now)  # never a burst to make up for lost time

    async def _alarm_before(self, due: int) -> bool:
        """Wait until *due*; return True earlier when the role has raised an alarm."""
        while True:
            now = self.clock.monotonic_ms()
            self._watchdog.expect("sample", due - now + _GRACE_MS)
            if now >= due:
                return False
            try:
                await asyncio.wait_for_ms(self._raised.wait(), due - now)
            except asyncio.TimeoutError:
                return False
            rest = self._alarm_at + _ALARM_EVERY_MS - self.clock.monotonic_ms()
            if rest <= 0:
                self._raised.clear()
                self._alarm_at = self.clock.monotonic_ms()
                return True
            await asyncio.sleep_ms(min(rest, max(0, due - self.clock.monotonic_ms())))

    async def _make_reading(self, alarm: bool = False) -> None:
        values = await self._role.measure()
        self.service.measured(self._body, values)
        self._keep_values(values, alarm)

    def _keep_values(self, values: dict, alarm: bool = False) -> None:
        body = self._body(values)
        if len(body) > _BODY_BYTES and len(values) > 1:  # as two readings it fits the smallest frame
            names = sorted(values)
            for part in (names[: len(names) // 2], names[len(names) // 2 :]):
                self._keep_values({name: values[name] for name in part}, alarm)
            return
        try:
            seq = self._keep_body(body)
        except OSError as error:
            self._unmade += 1
            log_error("sample: %d readings were not kept" % self._unmade, error)
            return
        if alarm:
            log("node", "alarm: reading %d" % seq)
            self._alarms.add(seq)
            self.network.hurry()

    def _keep_body(self, body: bytes) -> int:
        """Put a reading on flash with the time of now, have it sent, and return its number. Raises OSError."""
        at_s = self.clock.uptime_s()
        unix_s = self.clock.unix_s(at_s)
        if unix_s is None:
            seq = self.queue.append(self.boot, TIME_UPTIME, at_s, body)
        else:
            seq = self.queue.append(self.boot, TIME_UNIX, unix_s, body)
        self.network.wake()
        return seq

    def _body(self, values: dict[str, float]) -> bytes:
        """Return the reading as it lies on flash: the number and the time are put in when it is sent."""
        try:
            return readings.encode_reading(self._kind, 0, values)
        except ValueError as error:
            log_error("sample", error)
        item = {}
        for name in values:  # keep what is possible
            try:
                item.update(decode(readings.encode_reading(self._kind, 0, {name: values[name]})))
            except ValueError:
                pass
        return cbor.dumps(item)

    def _encode(self, record) -> bytes:
        """Return a kept reading as it goes on air now: with its time if it can be known, else its age, else neither."""
        item = decode(record.body)
        item[readings.KEY_SEQ] = record.seq
        if record.time_kind == TIME_UNIX:
            item[readings.KEY_TIME] = record.t
        elif record.time_kind == TIME_UPTIME and record.boot == self.boot:
            unix_s = self.clock.unix_s(record.t)
            if unix_s is None:
                item[readings.KEY_AGE] = max(0, self.clock.uptime_s() - record.t)
            else:
                item[readings.KEY_TIME] = unix_s
        return cbor.dumps(item)


def _open_mac(files, settings) -> Mac | None:
    """Return the LoRaWAN state; None when it is damaged beyond use: then the lamp shines and readings are kept."""
    used = bool(files.names("queue")) or not Slots(files, "seq").fresh
    try:
        return Mac(files, settings, ecb, used)
    except StoreCorrupt as error:
        log_error("node: no network until this board is provisioned again", error)
        return None
