# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Joins the stages: links -> network -> records -> outbox -> platforms, and receipts the way back.

The only module that knows them all. One thread owns the databases; the event loop owns the sockets and lines.
"""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TypeVar

from gateway import identity, links, platforms, plugins
from gateway.clock import StepDetector, SystemClock, plausible
from gateway.errors import GatewayError, IdentityError, LinkError, StoreCorrupt
from gateway.intake import Intake
from gateway.network import state_files
from gateway.network.dedup import Deduplicator, Verdict, Window
from gateway.network.duty import DutyBudget
from gateway.network.keyring import Keyring
from gateway.network.quarantine import Quarantine
from gateway.network.register import KnownDevices
from gateway.network.scheduler import Planned
from gateway.network.sender import Sender
from gateway.network.server import NetworkServer
from gateway.network.sessions import SessionStore
from gateway.network.transmitter import Transmitter
from gateway.operate.counters import Counters
from gateway.operate.lock import only_one
from gateway.operate.logs import EventLog, Seldom
from gateway.outbox.feed import Feed
from gateway.outbox.recovery import recover
from gateway.outbox.store import Limits, Outbox
from gateway.records import envelope, senml
from provisioning.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.clock import Clock
    from gateway.config import Loaded
    from gateway.links import Downlink, Link, Uplink
    from gateway.network.downlinks import Item
    from gateway.outbox.stream import Sealer
    from gateway.platforms import Platform
    from gateway.radio import RadioDownlink, TxOutcome
    from gateway.records.envelope import Position
    from gateway.records.reading import Reading

OUTBOX_FILE = "outbox.db"
SESSIONS_FILE = "sessions.db"

_QUEUE_FRAMES = 1024
_MAX_COMMIT_FRAMES = 512
_HOUSEKEEPING_S = 1.0
_PRUNE_EVERY_S = 60.0
_LAST_PUBACKS_S = 2.0
_RESTART_S = 1.0
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
        self._stopping = False
        self._queue: asyncio.Queue[Uplink | None] = asyncio.Queue(_QUEUE_FRAMES)
        self._writer = ThreadPoolExecutor(1, "writer")
        self._identity = load_identity(loaded)
        self._links = self._build_links()
        network = loaded.config.network
        self._window = Window(Deduplicator(network.dedup_ms / 1000), self._enqueue, self._clock)
        self._quarantine = Quarantine(network.net_id)
        self._budget = DutyBudget()
        transmitter = Transmitter(self._send_on, self._budget, self._clock, self._counters)
        self._sender = Sender(transmitter, self._in_writer, self._counters)
        self._platforms = self._build_platforms()
        self._feeds = {each.name: Feed(each.name, self._with_outbox) for each in self._platforms}

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stop.set()

    async def run(self) -> None:
        """Run until ``stop``, SIGTERM or SIGINT. Raises AlreadyRunning, and what keeps the start from succeeding."""
        state_dir = self._loaded.state_dir
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(state_dir), ExitStack() as stack:
            stack.callback(self._writer.shutdown)
            self._intake, self._outbox = await self._in_writer(lambda: self._open(stack))
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
            self._log.info("ready", gateway=self._identity.eui, stream=self._outbox.stream_id, state_dir=state_dir)
            await self._run_tasks()
            self._save_small_files()
        self._log.info("stopped", gateway=self._identity.eui)

    async def _run_tasks(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self._pump())
            hearing = [tasks.create_task(self._kept(each.name, self._hear(each))) for each in self._links.values()]
            publishing = [tasks.create_task(self._kept(each.name, self._publish(each))) for each in self._platforms]
            keeping = tasks.create_task(self._kept("housekeeping", self._housekeep))
            waking = tasks.create_task(self._kept("downlinks", self._send_queued))
            await self._stop.wait()
            self._log.info("stopping")
            self._window.flush()
            self._stopping = True  # what arrives from now on is resent to the next process
            await self._queue.put(None)
            await pump
            await self._sender.finish()
            for task in (*hearing, keeping, waking):
                task.cancel()
            await self._last_pubacks()
            for task in publishing:
                task.cancel()
            await asyncio.wait([*hearing, keeping, waking, *publishing])
            for feed in self._feeds.values():
                await self._flush(feed)

    def _open(self, stack: ExitStack) -> tuple[Intake, Outbox]:
        """Open the register and the databases. Runs in the thread that owns them."""
        config, base, state_dir = self._loaded.config, self._loaded.base, self._loaded.state_dir
        kek = self._loaded.secret(config.register_.kek)
        registry = Registry.open(config.register_.url, kek, base=base)
        stack.callback(registry.close)
        devices = KnownDevices(registry, self._clock)
        sessions = SessionStore(state_dir / SESSIONS_FILE, Keyring(kek))
        stack.callback(sessions.close)
        options = config.network.options()
        at = (self._clock.wall_s(), self._clock.monotonic_s())
        state_files.restore_duty(state_dir / state_files.DUTY_FILE, self._budget, *at)
        self._server = server = NetworkServer(devices, sessions, config.network.net_id, self._random, options)
        names = [each.name for each in self._platforms]
        recovered = recover(state_dir / OUTBOX_FILE, names)
        if recovered is not None:
            self._log.error(
                "outbox_damaged",
                why=recovered.why,
                kept_as=recovered.kept_as,
                envelopes_saved=recovered.envelopes,
                devices_saved=recovered.devices,
                effect="a new stream begins; what was not saved is missing in the old one",
            )
        limits = Limits(config.records.max_batch, config.outbox.max_bytes, config.outbox.keep_published_h * 3600.0)
        outbox = Outbox(state_dir / OUTBOX_FILE, self._sealer(), names, limits, self._clock)
        stack.callback(outbox.close)
        return Intake(server, outbox, self._counters, self._quarantine), outbox

    def _sealer(self) -> Sealer:
        def seal(readings: Sequence[Reading], position: Position) -> bytes:
            issued_at_s = self._identity.signing_time_s(self._clock.wall_s())
            return envelope.seal(senml.encode(readings), position, issued_at_s, self._identity.signer)

        return seal

    def _sink(self, uplink: Uplink) -> None:
        self._counters.add("frames", "heard")
        if self._stopping:
            return
        uplink = replace(uplink, heard_at_s=self._clock.monotonic_s())
        if uplink.radio is None:
            self._enqueue(uplink)
            return
        verdict = self._window.put(uplink)
        if verdict is not Verdict.FIRST:
            self._counters.add("frames", f"heard_{verdict.value}")

    def _enqueue(self, uplink: Uplink) -> None:
        try:
            self._queue.put_nowait(uplink)
        except asyncio.QueueFull:  # the device keeps what it has no receipt for, and sends it again
            self._counters.add("frames", "dropped_queue_full")
            if self._seldom.allow("queue") is not None:
                self._log.warning("queue_full", frames=_QUEUE_FRAMES)

    async def _pump(self) -> None:
        """Take what has arrived, together; while one commit is on its way to the disk the next one gathers."""
        wait_s = self._loaded.config.records.max_wait_ms / 1000
        last = False
        while not last:
            batch = [await self._queue.get()]
            if wait_s and batch[0] is not None:
                await asyncio.sleep(wait_s)
            while not self._queue.empty() and len(batch) < _MAX_COMMIT_FRAMES:
                batch.append(self._queue.get_nowait())
            last = None in batch
            uplinks = [uplink for uplink in batch if uplink is not None]
            if uplinks:
                downlinks = await self._in_writer(partial(self._process, uplinks))
                for feed in self._feeds.values():
                    feed.wake()
                await self._send(downlinks)

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

    async def _send(self, downlinks: Sequence[Downlink | Planned]) -> None:
        for downlink in downlinks:
            if isinstance(downlink, Planned):
                self._sender.start(downlink, self._server, self._clock.monotonic_s)
                continue
            try:
                await self._links[downlink.link].send(downlink.address, downlink.phy)
            except LinkError as error:
                self._counters.add("frames", "not_sent")
                if self._seldom.allow(downlink.link) is not None:
                    self._log.warning("not_sent", link=downlink.link, why=error)
            else:
                self._counters.add("frames", "sent")

    async def _send_on(self, link: str, address: str, phy: bytes, when: RadioDownlink | None) -> TxOutcome | None:
        if when is None:
            return await self._links[link].send(address, phy)
        return await self._links[link].send(address, phy, when)

    async def queue_downlink(self, item: Item) -> None:
        """Queue a payload for a device. Raises QueueFull."""
        await self._sender.put(item, self._server)

    async def _send_queued(self) -> None:
        await self._sender.run(self._server, self._intake.at_once, self._clock.monotonic_s)

    def _hear(self, link: Link) -> Callable[[], Awaitable[None]]:
        return lambda: link.run(self._sink)

    def _publish(self, platform: Platform) -> Callable[[], Awaitable[None]]:
        return lambda: platform.run(self._feeds[platform.name])

    async def _kept(self, name: str, start: Callable[[], Awaitable[None]]) -> None:
        """Start a task again when it ends, which none should."""
        while True:
            try:
                await start()
            except StoreCorrupt:
                raise  # the next start sets the file aside
            except GatewayError as error:
                self._log.warning("task_restarts", task=name, why=error)
            except Exception:  # noqa: BLE001 - top of a task, logged with its traceback
                self._log.exception("task_restarts", task=name)
            await asyncio.sleep(_RESTART_S)

    async def _housekeep(self) -> None:
        steps = StepDetector(self._clock)
        if not plausible(self._clock.wall_s()):
            self._log.warning("clock_not_set", effect="devices that ask for the time get no answer")
        pruned_at_s = self._clock.monotonic_s()
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            step_s = steps.step_s()
            if step_s is not None:
                self._counters.add("clock", "steps")
                self._log.warning("clock_step", by_s=round(step_s, 3), effect="times change, the record order does not")
            await asyncio.to_thread(self._save_small_files)
            if self._clock.monotonic_s() - pruned_at_s >= _PRUNE_EVERY_S:
                pruned_at_s = self._clock.monotonic_s()
                while await self._with_outbox(lambda outbox: outbox.prune()):
                    pass  # some at a time, so that frames do not wait for it

    def _save_small_files(self) -> None:
        state_dir = self._loaded.state_dir
        self._counters.save(state_dir)
        try:
            refused = self._quarantine.changed()
            if refused is not None:
                state_files.save(state_dir / state_files.QUARANTINE_FILE, refused)
            if self._budget.changed:
                self._budget.changed = False
                at = (self._clock.wall_s(), self._clock.monotonic_s())
                state_files.save_duty(state_dir / state_files.DUTY_FILE, self._budget, *at)
        except OSError as error:  # the disk is full or failing; the outbox says so louder
            self._log.debug("not_saved", why=error)

    async def _last_pubacks(self) -> None:
        """Wait, not for long, until those who are connected have everything."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _LAST_PUBACKS_S
        while loop.time() < end_s and any(  # noqa: ASYNC110 - three conditions in two objects, for two seconds
            platform.in_flight is not None and (platform.in_flight or not self._feeds[platform.name].idle)
            for platform in self._platforms
        ):
            await asyncio.sleep(0.02)

    async def _flush(self, feed: Feed) -> None:
        try:
            await feed.flush()
        except OSError as error:
            self._log.warning("progress_not_noted", why=error, effect="some envelopes are published again")

    async def _in_writer(self, function: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function)

    async def _with_outbox(self, function: Callable[[Outbox], _Result]) -> _Result:
        return await self._in_writer(lambda: function(self._outbox))

    def _build_links(self) -> dict[str, Link]:
        built: dict[str, Link] = {}
        for settings in self._loaded.links:
            built[settings.name] = plugins.load(links, settings.type).build(settings, self._clock, self._counters)
        return built

    def _build_platforms(self) -> list[Platform]:
        context = platforms.Context(
            self._identity.eui,
            self._identity.certificate_pem,
            self._loaded.base,
            self._loaded.secret,
            self._counters,
            self._random,
        )
        built: list[Any] = [
            plugins.load(platforms, each.type).build(each, context) for each in self._loaded.config.platforms
        ]
        return built


def load_identity(loaded: Loaded) -> identity.Identity:
    """Load the gateway's key and certificate. Raises IdentityError, provisioning.errors.SecretError."""
    config = loaded.config.gateway
    try:
        certificate = loaded.certificate_path.read_bytes()
    except OSError as error:
        raise IdentityError(f"The certificate {loaded.certificate_path} cannot be read: {error}") from error
    return identity.load(config.eui, loaded.secret(config.key), certificate)
