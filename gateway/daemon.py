# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Joins the stages: links -> network -> records -> outbox -> platforms, and receipts the way back.

The only module that knows them all. One thread owns the databases; the event loop owns the sockets and lines.
"""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import count
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar

from gateway import config, watchdog
from gateway.clock import StepDetector, SystemClock, plausible
from gateway.commands.gate import CommandGate
from gateway.directory import Directory
from gateway.ends import Ends
from gateway.errors import LinkError, StoreCorrupt, StoreUnavailable
from gateway.gate import Beside
from gateway.guidelines import Guard
from gateway.inbox import Inbox
from gateway.intake import Intake
from gateway.network import state_files
from gateway.network.duty import DutyBudget
from gateway.network.hints import Hints
from gateway.network.keyring import Keyring
from gateway.network.quarantine import Quarantine
from gateway.network.register import KnownDevices
from gateway.network.scheduler import Planned
from gateway.network.sender import Sender
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from gateway.network.transmitter import Transmitter
from gateway.operate import heap, notify
from gateway.operate.control import Control
from gateway.operate.counters import Counters
from gateway.operate.history import EVERY_S, History
from gateway.operate.lock import only_one
from gateway.operate.logs import EventLog, Seldom
from gateway.operate.metrics import Metrics
from gateway.operate.stages import Stages
from gateway.operate.web.server import StatusPage
from gateway.operate.web.source import Source
from gateway.outbox import pruning
from gateway.outbox.recovery import recover
from gateway.outbox.store import Limits, Outbox
from gateway.outbox.stored import StoredOutbox, takes_writes
from gateway.overview import Overview, Parts
from gateway.reload import Reloader
from gateway.sealing import EnvelopeSealer
from gateway.standby import NotTaking, Standby, fed
from gateway.supervisor import Supervisor
from gateway.updates.gate import UpdateGate
from provisioning.errors import ProvisioningError
from provisioning.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.clock import Clock
    from gateway.config import Loaded
    from gateway.identity import Identity
    from gateway.links import Downlink, Uplink
    from gateway.network.downlinks import Item
    from gateway.outbox.feed import Feed
    from gateway.outbox.lanes import Lanes
    from gateway.radio import RadioDownlink, TxOutcome

OUTBOX_FILE = "outbox.db"
SESSIONS_FILE = "sessions.db"
TAKEN_FOLDER = "taken"
"""Notes of workers about commands of several."""

_MAX_COMMIT_FRAMES = 512
_HOUSEKEEPING_S = 1.0
_PRUNE_EVERY_S = 10.0
_HEAP_EVERY = 6
_LAST_PUBACKS_S = 2.0
_PIPELINE_LIMIT_S = 60.0
"""A memory card may take ten seconds for one commit now and then; a minute is stuck."""
_Result = TypeVar("_Result")


class Daemon:
    """One gateway. ``run`` returns after ``stop``."""

    def __init__(self, loaded: Loaded, clock: Clock | None = None) -> None:
        self._loaded = loaded
        self._clock = clock or SystemClock()
        self._random = SystemRandom()
        self._counters = Counters()
        self._log = EventLog("daemon")
        self._seldom = Seldom()
        self._stop = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, "writer")
        self._identity = config.load_identity(loaded)
        self._stages = Stages(self._clock)
        self._hints = Hints(self._clock)
        self._directory = Directory()
        beside = Beside(self._in_writer, self._wake, self._clock, self._counters)
        self._commands, self._updates = CommandGate(beside), UpdateGate(beside)
        ends = (self._clock, self._counters, self._random, self._stages, self._with_outbox, self._hints.recognise)
        self._ends = Ends(*ends, self._directory, self._commands)
        self._ends.take(self._ends.build(loaded, self._identity))
        self._reloader = Reloader(self._ends, self._clock, self._counters)
        self._tasks: Supervisor | None = None
        self._taking: Intake | NotTaking
        self._metrics = Metrics()
        self._page = StatusPage(Source(self.status, self.reload, self._metrics))
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[Any]] = set()
        network = loaded.config.network
        self._inbox = Inbox(network.dedup_ms / 1000, self._clock, self._counters)
        self._quarantine = Quarantine(network.net_id)
        self._budget = DutyBudget(loaded.config.network.share.count)
        transmitter = Transmitter(self._send_on, self._budget, self._clock, self._counters)
        self._sender = Sender(transmitter, self._in_writer, self._counters, self._commands.fates)
        self._sightings = Guard(self._counters, self._clock, self._quarantine, self._identity.eui)
        self._history = History()
        counted = (self._clock, self._counters, self._stages, self._ends, self._budget, self._sightings)
        asked = (self._history, self._inbox, self._name_of, self._with_outbox, self._page.status)
        self._overview = Overview(Parts(*counted, *asked))

    def _wake(self) -> None:
        self._sender.wake()

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    async def run(self) -> None:
        """Run until ``stop``, SIGTERM or SIGINT. Raises AlreadyRunning, and what keeps the start from succeeding."""
        state_dir = self._loaded.state_dir
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(state_dir), ExitStack() as stack:
            stack.callback(self._writer.shutdown)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
            if not await self._opened(stack, loop):
                return
            control = Control(state_dir, {"status": self.status, "reload": self.reload})
            await control.open()
            self._log.info("ready", gateway=self._identity.eui, stream=self._outbox.stream_id, state_dir=state_dir)
            try:
                await self._run_tasks()
            finally:
                loop.remove_signal_handler(signal.SIGHUP)
                await control.close()
            await self._in_writer(self._server.catch_up)
            self._save_small_files()
        self._log.info("stopped", gateway=self._identity.eui)

    async def _opened(self, stack: ExitStack, loop: asyncio.AbstractEventLoop) -> bool:
        """Open everything, when the disk takes writes; deliver what is stored until then. False: the end came first."""
        state_dir, why = self._loaded.state_dir, f"the disk of {self._loaded.state_dir} takes no file"
        self._page.configure(self._loaded.config.operate, self._loaded.base, self._loaded.secret)
        parts = Standby(state_dir, self._ends, self._stages, self._page, self.status, self._stop)
        noted: dict[str, tuple[Lanes, int]] = {}
        while True:
            if await asyncio.to_thread(takes_writes, state_dir):
                try:
                    with ExitStack() as attempt:
                        self._intake, self._outbox = await fed(self._in_writer(partial(self._open, attempt, loop)))
                        await self._in_writer(partial(self._outbox.published_meanwhile, noted))
                        stack.push(attempt.pop_all())
                except StoreUnavailable as error:
                    why = str(error)
                else:
                    self._taking = self._intake
                    return True
            with closing(StoredOutbox(state_dir / OUTBOX_FILE, noted)) as stored, ExitStack() as meanwhile:
                self._outbox, self._taking = stored, NotTaking("; ".join(filter(None, (why, stored.why_empty))))
                with suppress(ProvisioningError, OSError):  # without it, platforms that ask the register wait
                    await self._in_writer(lambda: self._open_register(meanwhile))
                if not await parts.until_writable(why):
                    return False

    async def status(self) -> dict[str, Any]:
        """Return everything that can be said about this gateway now."""
        return await self._overview.gather(self._loaded, self._identity, self._taking, self._tasks)

    async def _run_tasks(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = self._tasks = Supervisor(group)
            self._stages.add("intake and disk", _PIPELINE_LIMIT_S)
            pump = group.create_task(self._pump())
            self._ends.start(tasks, self._inbox)
            tasks.start("housekeeping", self._housekeep)
            tasks.start("pruning", self._prune)
            tasks.start("downlinks", self._send_queued)
            tasks.start("commands", self._commands.watch)
            tasks.start("updates", self._updates.watch)
            tasks.start("guidelines", self._sightings.watch)
            tasks.start("status page", self._page.run)
            tasks.start("watchdog", lambda: watchdog.watch(self._stages, self._probe))
            notify.ready(f"{len(self._ends.links)} links, {len(self._ends.platforms)} platforms")
            await self._stop.wait()
            self._log.info("stopping")
            notify.stopping("delivering what is on its way")
            async with self._reloading:  # half a reload is worse than a late end
                await self._wind_up(tasks, pump)

    async def _wind_up(self, tasks: Supervisor, pump: asyncio.Task[None]) -> None:
        self._inbox.close()
        await pump
        await self._sender.finish()
        links, publishing = self._ends.task_names()
        others = "housekeeping", "pruning", "downlinks", "commands", "updates", "guidelines", "watchdog", "status page"
        await tasks.stop(*links, *others)
        await self._ends.last_pubacks(_LAST_PUBACKS_S)
        await tasks.stop(*publishing)
        for feed in self._ends.feeds.values():
            await self._flush(feed)

    def _reload_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def reload(self) -> dict[str, Any]:
        """Read the configuration and all it names again; say what became of it. What is refused changes nothing."""
        async with self._reloading:
            if self._stop.is_set() or self._tasks is None:
                return {"ok": False, "message": "the gateway is stopping"}
            outcome = await self._reloader.reload(self._loaded, self._tasks, self._swap, self._inbox)
            self._overview.reload = outcome | {"at": self._clock.wall_s()}
            self._overview.forget()
            return outcome

    async def _swap(self, loaded: Loaded, new_identity: Identity) -> None:
        """Go on with another configuration and identity, between two batches."""
        before = self._loaded.config.network.dedup_ms
        self._loaded, self._identity = loaded, new_identity
        if loaded.config.network.dedup_ms != before:
            self._inbox.reconfigure(loaded.config.network.dedup_ms / 1000)
        names = [each.name for each in loaded.config.platforms]

        def reconfigure() -> None:
            self._server.reconfigure(loaded.config.network.options())
            self._outbox.reconfigure(names, self._limits())

        await self._in_writer(reconfigure)
        self._page.configure(loaded.config.operate, loaded.base, loaded.secret)

    def _open_register(self, stack: ExitStack) -> tuple[bytes, Reader]:
        section, base = self._loaded.config.register_, self._loaded.base
        kek = self._loaded.secret(section.kek)
        registry = Reader.open(section.url, kek, base=base, password=self._loaded.password())
        stack.callback(registry.close)
        self._directory.open(registry, self._loaded.guidelines()[0])
        return kek, registry

    def _open(self, stack: ExitStack, loop: asyncio.AbstractEventLoop) -> tuple[Intake, Outbox]:
        """Open the register and the databases. Runs in the thread that owns them."""
        settings, state_dir = self._loaded.config, self._loaded.state_dir
        kek, registry = self._open_register(stack)
        self._sightings.open(registry, state_dir, *self._loaded.guidelines())
        self._registered = devices = KnownDevices(registry, self._clock)
        self._hints.open(registry)
        sessions = SessionStore(state_dir / SESSIONS_FILE, Keyring(kek))
        stack.callback(sessions.close)
        options = settings.network.options()
        at = (self._clock.wall_s(), self._clock.monotonic_s())
        state_files.restore_duty(state_dir / state_files.DUTY_FILE, self._budget, *at)
        self._server = server = NetworkServer(devices, sessions, settings.network.net_id, self._random, options)
        server.restore_queue(self._clock)
        parts = (server, sessions, registry, devices)
        taken = self._loaded.state_root / TAKEN_FOLDER
        self._commands.open(loop, parts, lambda: self._identity, lambda: self._loaded.config.network.options(), taken)
        names = list(self._ends.platforms)
        recovered = recover(state_dir / OUTBOX_FILE, names)
        if recovered is not None:
            self._log.error("outbox_damaged", **recovered.fields())
        sealer = EnvelopeSealer(lambda: self._identity, self._clock)
        outbox = Outbox(state_dir / OUTBOX_FILE, sealer, names, self._limits(), self._clock)
        stack.callback(outbox.close)
        self._updates.open(loop, (server, registry), lambda: self._identity.eui, self._commands.heard)
        heard = self._updates.heard
        return Intake(server, outbox, self._counters, self._quarantine, self._sightings, heard), outbox

    def _limits(self) -> Limits:
        return self._loaded.config.limits()

    def _name_of(self, dev_eui: bytes) -> str:
        return str(getattr(self._registered.active(dev_eui), "name", ""))

    async def _pump(self) -> None:
        """Take what has arrived, together; while one commit is on its way to the disk the next one gathers."""
        last = False
        while not last:
            wait_s = self._loaded.config.records.max_wait_ms / 1000
            uplinks, last = await self._inbox.gather(wait_s, _MAX_COMMIT_FRAMES)
            if uplinks:
                with self._metrics.commit_s.time():
                    downlinks = await self._in_writer(partial(self._process, uplinks))
                rows = self._intake.take_stored()
                for feed in self._ends.feeds.values():
                    feed.offer(rows)
                await self._send(downlinks)
            elif not last:
                await self._in_writer(lambda: None)  # a probe: it says whether the thread of the databases still works
            self._stages.beat("intake and disk")

    def _process(self, uplinks: Sequence[Uplink]) -> Sequence[Downlink | Planned]:
        """Take a batch. An error that nobody foresaw costs the batch, not the gateway: devices send again."""
        try:
            return self._intake.process(uplinks)
        except StoreCorrupt:
            raise
        except Exception:  # noqa: BLE001 - top of the pipeline, logged with its traceback
            self._counters.add("frames", "abandoned", len(uplinks))
            self._log.exception("batch_abandoned", frames=len(uplinks))
            self._intake.abandon()
            return []

    def _probe(self) -> None:
        if not self._inbox.qsize():  # else the frames are the probe
            self._inbox.probe()

    async def _send(self, downlinks: Sequence[Downlink | Planned]) -> None:
        for downlink in downlinks:
            if isinstance(downlink, Planned):
                self._sender.start(downlink, self._server, self._clock.monotonic_s)
                continue
            try:
                await self._ends.link(downlink.link).send(downlink.address, downlink.phy)
            except (LinkError, KeyError) as error:  # KeyError: a reload removed the link meanwhile
                self._counters.add("frames", "not_sent")
                if self._seldom.allow(downlink.link) is not None:
                    self._log.warning("not_sent", link=downlink.link, why=error)
            else:
                self._counters.add("frames", "sent")

    async def _send_on(self, link: str, address: str, phy: bytes, when: RadioDownlink | None) -> TxOutcome | None:
        if link not in self._ends.links:
            raise LinkError(f"there is no link {link!r} any more")
        if when is None:
            return await self._ends.link(link).send(address, phy)
        return await self._ends.link(link).send(address, phy, when)

    async def queue_downlink(self, item: Item) -> None:
        """Queue a payload for a device, on disk. Raises QueueFull, StoreUnavailable."""
        await self._sender.put(item, self._server, self._clock)

    async def _send_queued(self) -> None:
        await self._sender.run(self._server, self._intake.at_once, self._clock.monotonic_s)

    async def _housekeep(self) -> None:
        steps = StepDetector(self._clock)
        if not plausible(self._clock.wall_s()):
            self._log.warning("clock_not_set", effect="devices that ask for the time get no answer")
        sampled_at_s = self._clock.monotonic_s()
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            if self._clock.monotonic_s() - sampled_at_s >= EVERY_S:
                sampled_at_s = self._clock.monotonic_s()
                self._history.sample(sampled_at_s, self._counters.snapshot(), self._inbox.qsize())
            step_s = steps.step_s()
            if step_s is not None:
                self._counters.add("clock", "steps")
                self._log.warning("clock_step", by_s=round(step_s, 3), effect="times change, the record order does not")
            await self._in_writer(self._server.catch_up)
            await asyncio.to_thread(self._save_small_files)

    async def _prune(self) -> None:
        for turn in count(1):
            await asyncio.sleep(_PRUNE_EVERY_S)
            await pruning.prune(self._with_outbox, self._clock)
            if turn % _HEAP_EVERY == 0:
                await asyncio.to_thread(heap.give_back)

    def _save_small_files(self) -> None:
        at, directory = (self._clock.wall_s(), self._clock.monotonic_s()), self._loaded.state_dir
        self._counters.save(directory)
        try:
            state_files.save_changed(directory, self._quarantine, self._budget, at)
        except OSError as error:  # the disk is full or failing; the outbox says so louder
            self._log.debug("not_saved", why=error)

    async def _flush(self, feed: Feed) -> None:
        try:
            await feed.flush()
        except OSError as error:
            self._log.warning("progress_not_noted", why=error, effect="some envelopes are published again")

    async def _in_writer(self, function: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function)

    async def _with_outbox(self, function: Callable[[Outbox], _Result]) -> _Result:
        return await self._in_writer(lambda: function(self._outbox))
