# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""All boards that this gateway carries releases to. Runs in the one thread that owns the databases.

What goes to a board waits in its downlink queue behind everything else, in memory only: after a restart the board is
asked, and says where to go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from firmware.wire import errors as wire_errors
from firmware.wire import region
from firmware.wire.frame import MAX_FOPTS
from firmware.wire.readings import FPORT_FRAGMENTS
from gateway.errors import QueueFull, Refused
from gateway.network import scheduler
from gateway.network.downlinks import Item
from gateway.network.duty import Priority
from gateway.operate.logs import EventLog, Seldom
from gateway.updates.job import ON_A_LINE, ON_AIR, Job, Message, Patience
from provisioning.updates import rollout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.clock import Clock
    from gateway.network.live import LiveSession
    from gateway.network.server import NetworkServer
    from gateway.operate.counters import Counters
    from provisioning.updates.rollout import BoardState

MAX_AT_ONCE = 8
"""Boards that a release is under way to; the others wait for their turn."""
_EXPIRES_S = 1800.0
_SELDOM_EXPIRES_S = 7 * 86400.0
"""Fragments, and all that goes after an uplink of a device of class A: some of these send once in hours."""
_ELSEWHERE_S = 5.0
"""Whether a board has come to this gateway is looked at so often."""


class Found(NamedTuple):
    """A roll-out as the register has it: its boards that something is to be done with, and its release."""

    name: str
    release: tuple[bytes, bytes]
    carry: Sequence[BoardState]
    withdraw: Sequence[BoardState]


class UpdateOffice:
    """*news* is called when there may be downlinks to send; *gateway*: this one's EUI."""

    def __init__(
        self,
        server: NetworkServer,
        clock: Clock,
        counters: Counters,
        gateway: Callable[[], str],
        news: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._clock = clock
        self._counters = counters
        self._gateway = gateway
        self._news = news
        self._log = EventLog("updates")
        self._seldom = Seldom()
        self._jobs: dict[bytes, Job] = {}

    def take(self, found: Sequence[Found]) -> None:
        """Take what the register says now. Jobs that are under way keep what they know."""
        jobs: dict[bytes, Job] = {}
        for each in found:
            for board in each.carry:
                self._keep(jobs, each, board, withdrawn=False)
            for board in each.withdraw:
                self._keep(jobs, each, board, withdrawn=True)
        self._jobs = jobs

    def _keep(self, jobs: dict[bytes, Job], found: Found, board: BoardState, *, withdrawn: bool) -> None:
        dev_eui = bytes.fromhex(board.dev_eui)
        job = self._jobs.get(dev_eui)
        if job is None or job.name != found.name:
            job = Job(found.name, found.release, board)
        job.withdrawn = withdrawn
        jobs.setdefault(dev_eui, job)  # of two roll-outs for a board the older one goes first

    def heard(self, dev_eui: bytes, fport: int, payload: bytes) -> None:
        """A board said how far it is."""
        job = self._jobs.get(dev_eui)
        session = None if job is None else self._session(dev_eui)
        if job is None or session is None or session.last_uplink is None:
            return
        try:
            take = job.heard_fragments if fport == FPORT_FRAGMENTS else job.heard
            messages = take(payload, self._room(session), self._clock.monotonic_s(), _patience(session))
        except wire_errors.Malformed as error:
            self._counters.add("updates", "malformed")
            if self._seldom.allow(dev_eui) is not None:
                self._log.warning("malformed", dev_eui=dev_eui, why=error)
            return
        self._send(dev_eui, messages)

    def look(self) -> None:
        """Ask boards that are silent, as many at once as may be."""
        now_s, busy = self._clock.monotonic_s(), 0
        for dev_eui, job in self._jobs.items():
            under_way = job.board.state == rollout.SENDING and not job.silent
            busy += under_way
            self._is_awake(dev_eui, job, now_s)
            if not job.is_due(now_s) or (busy >= MAX_AT_ONCE and job.board.state == rollout.WAITING):
                continue
            session = self._session(dev_eui)
            if session is None or session.last_uplink is None:
                job.later(now_s + _ELSEWHERE_S)
                continue
            if session.last_uplink.radio is not None and self._server.queue.waits(dev_eui):
                job.later(now_s + _patience(session).answer_s)  # it has not heard all of it yet
                continue
            busy += not under_way and not job.silent
            self._send(dev_eui, job.due(now_s, _patience(session)))

    def _is_awake(self, dev_eui: bytes, job: Job, now_s: float) -> None:
        """A device of class A that polls in vain waits for something that was lost."""
        if job.silent or not job.under_way or self._server.queue.busy(dev_eui):
            return
        session = self._session(dev_eui)
        if session is not None and session.last_uplink is not None and _waits_for_uplinks(session):
            job.spoke(session.last_uplink.heard_at_s, now_s)

    def notes(self) -> dict[str, list[BoardState]]:
        """What the register has to hear now, by roll-out."""
        now_s, at_s = self._clock.monotonic_s(), int(self._clock.wall_s())
        notes: dict[str, list[BoardState]] = {}
        for job in self._jobs.values():
            note = job.note(now_s)
            if note is not None:
                job.board = replace(note, gateway=self._gateway(), changed_at_s=at_s)
                notes.setdefault(job.name, []).append(job.board)
        return notes

    def noted(self, name: str, notes: Sequence[BoardState]) -> None:
        """They are in the register."""
        now_s = self._clock.monotonic_s()
        for note in notes:
            job = self._jobs.get(bytes.fromhex(note.dev_eui))
            if job is None or job.name != name:
                continue
            self._send(bytes.fromhex(note.dev_eui), job.noted(note, now_s))
            if note.state not in (rollout.SENDING, rollout.WAITING):
                self._counters.add("updates", note.state)
                self._log.info("update", dev_eui=note.dev_eui, rollout=name, state=note.state, problem=note.problem)

    def status(self) -> Mapping[str, int]:
        """How many boards are in which state."""
        states: dict[str, int] = {}
        for job in self._jobs.values():
            states[job.board.state] = states.get(job.board.state, 0) + 1
        return states

    def _session(self, dev_eui: bytes) -> LiveSession | None:
        try:
            return self._server.session_of(dev_eui)
        except Refused:
            return None  # retired, or its keys do not open

    def _room(self, session: LiveSession) -> int:
        """Bytes that a payload may have, whatever MAC commands go with it."""
        uplink = session.last_uplink
        if uplink is None:
            return 0
        if uplink.radio is not None and session.listens_always:
            return region.DATA_RATES[session.radio.rx2_dr][2] - MAX_FOPTS
        return scheduler.room_bytes(uplink, session.radio) - MAX_FOPTS

    def _send(self, dev_eui: bytes, messages: Sequence[Message]) -> None:
        now_s = self._clock.monotonic_s()
        waits = _waits_for_uplinks(self._session(dev_eui)) if messages else False
        for fport, payload in messages:
            expires_s = _SELDOM_EXPIRES_S if waits or fport == FPORT_FRAGMENTS else _EXPIRES_S
            item = Item(dev_eui, fport, payload, priority=Priority.BACKGROUND, expires_at_s=now_s + expires_s)
            try:
                self._server.queue.put(item)
            except QueueFull:
                self._counters.add("updates", "queue_full")
                break  # it is asked again
        if messages:
            self._news()


def _waits_for_uplinks(session: LiveSession | None) -> bool:
    uplink = None if session is None else session.last_uplink
    return session is not None and uplink is not None and uplink.radio is not None and not session.listens_always


def _patience(session: LiveSession) -> Patience:
    uplink = session.last_uplink
    return ON_A_LINE if uplink is None or uplink.radio is None else ON_AIR
