# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a network server does with one frame: find its session, open it, move the counter, answer MAC commands.

Does not know what a payload means. Nothing that ``receive`` or ``answer`` gives out may leave before ``commit``.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from firmware.wire import errors as wire_errors
from firmware.wire import frame
from gateway.errors import (
    FrameNotAuthentic,
    MalformedFrame,
    Refused,
    ReplayedFrame,
    StoreUnavailable,
    UnknownAddress,
    UnsupportedType,
)
from gateway.network import kept_downlinks, mac, scheduler
from gateway.network.downlinks import CLASS_C_LOCK_S, CONFIRM_WITHIN_S, DownlinkQueue
from gateway.network.duty import Priority
from gateway.network.join import JoinServer
from gateway.network.live import Joined, LiveSession, Opened
from gateway.network.opening import kept, of_received
from gateway.network.options import Options
from gateway.network.pace import Pace
from gateway.network.profiles import profile
from gateway.network.quick_open import DOWN_LOW, QuickOpen
from gateway.network.quick_session import address_of
from gateway.network.radio_state import RadioState
from gateway.network.scheduler import Planned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from firmware.wire.session import Received
    from gateway.clock import Clock
    from gateway.links import Uplink
    from gateway.network.downlinks import Fate, Item
    from gateway.network.profiles import Profile
    from gateway.network.register import Device, KnownDevices
    from gateway.network.sessions import SessionStore

_MAX_LIVE = 20000
_DOWN_BLOCK = 64
"""Downlink counters reserved at a time: after a SIGKILL the rest of a block is skipped, never used twice."""
_MAX_REPEATS = 14
"""How often the same frame may ask for its answer again; NbTrans is at most 15 (TS001 section 5.3)."""
_REPEAT_WITHIN_S = 300.0
"""A device may send the longest frame (2.8 s at DR0) again after 280 s of silence, at a duty cycle of 1 %."""
_AFTER_WINDOWS_S = 2.0


class NetworkServer:
    """All sessions of this gateway. One thread at a time."""

    def __init__(
        self,
        devices: KnownDevices,
        store: SessionStore,
        net_id: int,
        random: Random,
        options: Options | None = None,
    ) -> None:
        self._devices = devices
        self._store = store
        self._options = options or Options()
        self._joins = JoinServer(devices, store, net_id, random, self._options)
        self._live: OrderedDict[int, LiveSession] = OrderedDict()
        self._fates: list[tuple[Item, Fate]] = []
        self._refusals: list[str] = []
        self.counter_of: Callable[[bytes], tuple[bytes, int]] = lambda _: (b"", 0)
        """From a DevEUI to a session's mark and the counter expected in it, where our own file may be behind."""
        self.queue = DownlinkQueue(self._fate)
        self.pace = Pace()
        self._quick = QuickOpen(self._live, devices, store, self.queue, partial(self._keep, changed=True))

    def reconfigure(self, options: Options) -> None:
        """Go on with other options."""
        self._options = options
        self._joins.reconfigure(options)

    def quickly(self) -> Callable[[Uplink], Opened | None]:
        """Return what opens the usual frames of one batch; what it gives None for is for ``receive``."""
        return self._quick.begin(self._options)

    def receive(self, uplink: Uplink) -> Joined | Opened:
        """Take one frame. Raises a subclass of Refused, or StoreUnavailable: then call ``rollback``."""
        try:
            kind = frame.mtype(uplink.phy)
            if kind == frame.JOIN_REQUEST:
                return self._join(uplink)
            if kind in (frame.UNCONFIRMED_UP, frame.CONFIRMED_UP):
                return self._open(uplink)
        except wire_errors.Malformed as error:
            raise MalformedFrame(str(error)) from error
        raise UnsupportedType(f"message type {kind} does not come from a device")

    @property
    def only_counters(self) -> bool:
        """Whether nothing but counters of frames has changed since the last commit."""
        return self._store.only_counters

    def catch_up(self) -> None:
        """Commit counters that are on disk elsewhere so far."""
        if self._store.lags:
            try:
                self._store.commit()
            except StoreUnavailable:
                self.rollback()

    def commit(self) -> None:
        """Put counters and joins on disk. Raises StoreUnavailable: then call ``rollback``."""
        self._store.commit()

    def rollback(self) -> None:
        """Nothing since the last commit has happened."""
        self._live.clear()  # the counters in memory ran ahead
        self._store.rollback()

    def answer(
        self,
        session: LiveSession,
        fport: int | None,
        payload: bytes,
        *,
        ack: bool,
        fopts: bytes,
        confirmed: bool = False,
    ) -> bytes:
        """Return the next downlink of a session. Raises StoreUnavailable, wire CounterExhausted."""
        if session.wire.fcnt_down >= session.reserved_down:
            self._reserve_down(session)
            self._store.commit()
        more = self.queue.waits(session.dev_eui)
        return session.wire.seal_downlink(fport, payload, confirmed=confirmed, ack=ack, fopts=fopts, f_pending=more)

    def requests(self, opened: Opened, room_bytes: int, *, alone: bool = False) -> bytes:
        """Return MAC commands that the network has for a device, for at most *room_bytes* of FOpts.

        *alone*: nothing else goes to it now.
        """
        session, network = opened.session, self._options.channels
        return mac.requests(session.mac, session.radio, opened.profile, network, opened.uplink, room_bytes, alone=alone)

    def has_nothing_for(self, opened: Opened) -> bool:
        """Tell that neither the queue nor the network's MAC commands have anything for a device now."""
        session = opened.session
        return not self.queue.knows(session.dev_eui) and mac.is_content(
            session.mac, session.radio, opened.profile, self._options.channels, opened.uplink
        )

    def enqueue(self, item: Item, clock: Clock) -> None:
        """Queue a downlink, on disk too. Raises QueueFull, StoreUnavailable; then it is not queued."""
        self.queue_up(item, clock)
        try:
            self._store.commit()
        except StoreUnavailable:
            self.take_back([item])
            raise

    def queue_up(self, item: Item, clock: Clock) -> None:
        """Queue a downlink that is on disk with the next ``commit``. Raises QueueFull, StoreUnavailable."""
        self.queue.put(item)
        try:
            kept_downlinks.keep(self._store, item, clock)
        except StoreUnavailable:
            self.take_back([item])
            raise

    def take_back(self, items: Sequence[Item]) -> None:
        """Nothing since the last commit has happened, the queueing of *items* neither."""
        for item in items:
            self.queue.take_back(item)
        self.rollback()

    def restore_queue(self, clock: Clock) -> int:
        """Take up the downlinks that waited when the last process ended; return how many."""
        return kept_downlinks.restore(self._store, self.queue, clock)

    def refusals(self) -> list[str]:
        """Return the names of the requests that devices refused since the last call."""
        refused, self._refusals = self._refusals, []
        return refused

    def plan_join(self, joined: Joined) -> Planned:
        """Return when and how a Join-Accept may go to a device on radio."""
        ways = scheduler.join(joined.uplink, RadioState(), len(joined.accept))
        return Planned(joined.dev_eui, joined.accept, ways, Priority.JOIN)

    def plan(self, opened: Opened, phy: bytes, priority: Priority, item: Item | None = None) -> Planned:
        """Return when and how the answer to a frame from a radio may go."""
        session, uplink = opened.session, opened.uplink
        rx1_hz = None if uplink.radio is None else session.mac.plan.rx1_hz(uplink.radio.freq_hz)
        ways = scheduler.class_a(uplink, session.radio, len(phy), rx1_hz)
        header = frame.decode_data(phy)
        # A device of class C hears it later too. Not an ACK, which belongs to the windows of its frame, and not MAC
        # commands, which class C must drop (TS001-1.0.4 section 17).
        if opened.profile.class_c and not (header.ack or header.fopts):
            ways += scheduler.class_c(uplink, session.radio, len(phy))
        return Planned(session.dev_eui, phy, ways, priority, item)

    def plan_at_once(self, now_s: float) -> list[Planned]:
        """Return what may go now to devices that always listen. Raises StoreUnavailable."""
        planned = []
        for dev_eui in self.queue.ready(now_s):
            try:
                session = self.session_of(dev_eui)
                ways = () if session is None else self._ways_at_once(session, now_s)
            except Refused:
                continue  # retired, or its keys do not open: its frames say so in the log
            if session is None or not ways or not self.pace.may(ways, session.last_uplink, now_s):
                continue
            item = self.queue.take(dev_eui, scheduler.at_once_room_bytes(ways), now_s)
            if item is not None:
                phy = self.carry(session, item, now_s)
                self.pace.sends(ways[0], len(phy), session.last_uplink, now_s)
                planned.append(Planned(dev_eui, phy, ways, item.priority, item))
        return planned

    def carry(self, session: LiveSession, item: Item, now_s: float, *, ack: bool = False, fopts: bytes = b"") -> bytes:
        """Return the next downlink with an item of the queue. Raises as ``answer`` does; then the item waits again."""
        try:
            return self.answer(session, item.fport, item.payload, ack=ack, fopts=fopts, confirmed=item.confirmed)
        except (StoreUnavailable, wire_errors.CounterExhausted):
            self.queue.settle(item, now_s, sent=False)
            raise

    def settle(self, planned: Planned, now_s: float, *, sent: bool) -> None:
        """Note what became of a frame that carried something of a queue."""
        if planned.item is not None:
            way = planned.opportunities[0]
            within_s = CONFIRM_WITHIN_S if way.at_s is None else float("inf")
            lock_s = 0.0 if way.when is None else CLASS_C_LOCK_S
            try:
                self.queue.settle(planned.item, now_s, sent=sent, confirm_within_s=within_s, lock_s=lock_s)
                if planned.item.row is not None and planned.item.confirmed and sent:
                    self._store.note_tries(planned.item.row, planned.item.tries)
                self._store.commit()
            except StoreUnavailable:
                self.rollback()  # it may be sent once more after a restart

    def fates(self) -> list[tuple[Item, Fate]]:
        """Return what became of queued downlinks since the last call."""
        fates, self._fates = self._fates, []
        return fates

    def _fate(self, item: Item, fate: Fate) -> None:
        self._fates.append((item, fate))
        if item.row is not None:
            self._store.drop_downlink(item.row)

    def session_of(self, dev_eui: bytes) -> LiveSession | None:
        """Return the session that a device uses. Raises Refused."""
        dev_addr = self._store.address_of(dev_eui)
        return None if dev_addr is None else self._session(dev_addr)

    def _ways_at_once(self, session: LiveSession, now_s: float) -> tuple[scheduler.Opportunity, ...]:
        device = self._devices.active(session.dev_eui)
        uplink = session.last_uplink
        if uplink is not None and uplink.radio is None:
            return scheduler.line(uplink)
        if not profile(device, self._options).class_c:
            return ()
        if uplink is None:
            return scheduler.at_once(session.radio)
        if now_s < uplink.heard_at_s + session.radio.rx1_delay_s + _AFTER_WINDOWS_S:
            return ()  # it listens to RX1 and RX2 now
        return scheduler.class_c(uplink, session.radio, 0)

    def _join(self, uplink: Uplink) -> Joined:
        dev_eui, accept, ended = self._joins.accept(uplink)
        self._end(ended)
        return Joined(uplink, dev_eui, accept)

    def _open(self, uplink: Uplink) -> Opened:
        dev_addr = address_of(uplink.phy)
        try:
            session = self._session(dev_addr)
        except UnknownAddress:
            frame.decode_data(uplink.phy)  # what is no frame at all has no address either
            raise
        device = self._devices.active(session.dev_eui)
        profiled = self._profile(session, device)
        try:
            received = session.wire.open_uplink(uplink.phy)
        except wire_errors.NotAuthentic as error:
            raise FrameNotAuthentic(str(error), dev_eui=session.dev_eui, dev_addr=dev_addr) from error
        except wire_errors.Replayed as error:
            again = self._again(session, uplink) or self._unfinished(session, uplink, profiled)
            if again is None:
                raise ReplayedFrame(str(error), dev_eui=session.dev_eui, dev_addr=dev_addr) from error
            fport, payload = (None, b"") if session.taken else (again.fport, again.payload)
            return of_received(uplink, session, device.kind, profiled, again, fport, payload, repeated=True)
        if not self._store.advance(session.row, received.fcnt + 1):
            raise ReplayedFrame(f"frame {received.fcnt} was taken elsewhere", dev_eui=session.dev_eui)
        session.last, session.last_uplink, session.repeats = received, kept(uplink), 0
        session.taken, session.receipt_asked, session.alarm = True, False, False
        self.queue.heard(session.dev_eui, uplink.heard_at_s, ack=received.ack)
        changed = True
        try:
            changed = mac.observe(session.mac, session.radio, uplink, received.fcnt, adr_bit=received.adr)
            if carried := mac.carried(received):
                changed = True
                commands = mac.commands_of(received)
                if len(commands) < len(carried):
                    self._refusals.append("malformed_commands")
                mac.apply(session.mac, session.radio, commands, uplink.received_at)
        finally:
            if session.mac.refusals:
                self._refusals += session.mac.refusals
                session.mac.refusals.clear()
            self._keep(session, changed=changed)
        fport, payload = received.fport, received.payload
        return of_received(uplink, session, device.kind, profiled, received, fport, payload, repeated=False)

    def _profile(self, session: LiveSession, device: Device) -> Profile:
        """Return the profile of a device, as long as neither its record nor the options are other objects."""
        known = session.profiled
        if known is None or known[0] is not device or known[1] is not self._options:
            known = session.profiled = (device, self._options, profile(device, self._options))
        return known[2]

    def _again(self, session: LiveSession, uplink: Uplink) -> Received | None:
        """Return the last frame if this is it once more: a device that missed our answer, or NbTrans above 1."""
        before = session.last_uplink
        if before is None or uplink.phy != before.phy or session.repeats >= _MAX_REPEATS:
            return None
        if uplink.heard_at_s - before.heard_at_s > _REPEAT_WITHIN_S:
            return None  # nobody repeats that late, but whoever recorded it may
        session.repeats += 1
        session.last_uplink = kept(uplink)
        return session.last

    def _unfinished(self, session: LiveSession, uplink: Uplink, profiled: Profile) -> Received | None:
        """Return the last frame of before a restart once more, of a vendor's device.

        Its counter was on disk; whether its reading was, the reading's number tells, which follows from the counter.
        A device of ours sends the reading again under a new counter, others only the frame.
        """
        if profiled.decoder is None or session.last is not None or not session.wire.fcnt_up:
            return None
        before = copy(session.wire)
        before.fcnt_up -= 1
        try:
            received = before.open_uplink(uplink.phy)
        except wire_errors.WireError:
            return None
        session.last, session.last_uplink, session.taken = received, kept(uplink), False
        return received

    def _session(self, dev_addr: int) -> LiveSession:
        live = self._live.get(dev_addr)
        if live is None:
            stored = self._store.by_address(dev_addr)
            if stored is None:
                raise UnknownAddress(f"no session has the address {dev_addr:08x}", dev_addr=dev_addr)
            live = self._live[dev_addr] = LiveSession(
                stored, self._store.radio(stored.row), self._store.plan(stored.row)
            )
            mark, fcnt_up = self.counter_of(live.dev_eui)
            if mark == live.mark:
                live.wire.fcnt_up = max(live.wire.fcnt_up, fcnt_up)
            if len(self._live) > _MAX_LIVE:
                self._live.popitem(last=False)
        self._live.move_to_end(dev_addr)
        return live

    def _keep(self, session: LiveSession, *, changed: bool) -> None:
        """Bring the disk up to a session that just proved itself; *changed*: what is agreed of its radio may have."""
        if not session.confirmed:
            self._end(self._store.confirm(session.row, session.dev_eui))
            session.confirmed = True
        if changed and session.radio != session.radio_on_disk:
            self._store.set_radio(session.row, session.radio)
            session.radio_on_disk = replace(session.radio)
        if changed and session.mac.plan != session.plan_on_disk:
            self._store.set_plan(session.row, session.mac.plan)
            session.plan_on_disk = session.mac.plan.copy()
        if session.wire.fcnt_down + DOWN_LOW > session.reserved_down:
            self._reserve_down(session)  # in the transaction that commits anyway

    def _reserve_down(self, session: LiveSession) -> None:
        session.reserved_down = session.wire.fcnt_down + _DOWN_BLOCK
        self._store.reserve_down(session.row, session.reserved_down)

    def _end(self, addresses: list[int]) -> None:
        for dev_addr in addresses:
            self._live.pop(dev_addr, None)
