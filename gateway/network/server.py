# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a network server does with one frame: find its session, open it, move the counter, answer MAC commands.

Does not know what a payload means. Nothing that ``receive`` or ``answer`` gives out may leave before ``commit``.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.wire import errors as wire_errors
from firmware.wire import frame, maccommands
from firmware.wire.session import Session
from gateway.clock import plausible
from gateway.errors import FrameNotAuthentic, MalformedFrame, ReplayedFrame, UnknownAddress, UnsupportedType
from gateway.network.aes import ecb
from gateway.network.join import JoinServer

if TYPE_CHECKING:
    from random import Random

    from gateway.links import Uplink
    from gateway.network.register import KnownDevices
    from gateway.network.sessions import SessionStore, StoredSession

_MAX_LIVE = 20000
_DOWN_BLOCK = 64
"""Downlink counters reserved at a time: after a SIGKILL the rest of a block is skipped, never used twice."""
_DOWN_LOW = 8
_MAX_REPEATS = 8
"""How often the same frame may ask for its answer again; LoRaWAN's NbTrans is at most 15."""
_WIRED_MARGIN_DB = 254


class LiveSession:
    """A session in use: the wire's counters, and what is known to be on disk."""

    def __init__(self, stored: StoredSession) -> None:
        self.row = stored.row
        self.dev_eui = stored.dev_eui
        self.confirmed = stored.confirmed
        self.wire = Session(
            ecb, stored.dev_addr, stored.nwk_skey, stored.app_skey, stored.fcnt_up, fcnt_down=stored.fcnt_down
        )
        self.reserved_down = stored.fcnt_down
        self.last_phy = b""
        self.repeats = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """A device that is let in; *accept* goes back the way the request came."""

    uplink: Uplink
    dev_eui: bytes
    accept: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """An authentic data frame, its payload in clear."""

    uplink: Uplink
    session: LiveSession
    kind: str
    fport: int | None
    payload: bytes
    confirmed: bool
    mac_answers: bytes
    """MAC commands for the FOpts of the answer."""
    repeated: bool
    """The same frame came before: its payload was taken then, only the answer may be missing."""


class NetworkServer:
    """All sessions of this gateway. One thread at a time."""

    def __init__(self, devices: KnownDevices, store: SessionStore, net_id: int, random: Random) -> None:
        self._devices = devices
        self._store = store
        self._joins = JoinServer(devices, store, net_id, random)
        self._live: OrderedDict[int, LiveSession] = OrderedDict()

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

    def commit(self) -> None:
        """Put counters and joins on disk. Raises StoreUnavailable: then call ``rollback``."""
        self._store.commit()

    def rollback(self) -> None:
        """Nothing since the last commit has happened."""
        self._live.clear()  # the counters in memory ran ahead
        self._store.rollback()

    def answer(self, session: LiveSession, fport: int | None, payload: bytes, *, ack: bool, fopts: bytes) -> bytes:
        """Return the next downlink of a session. Raises StoreUnavailable, wire CounterExhausted."""
        if session.wire.fcnt_down >= session.reserved_down:
            self._reserve_down(session)
            self._store.commit()
        return session.wire.seal_downlink(fport, payload, ack=ack, fopts=fopts)

    def _join(self, uplink: Uplink) -> Joined:
        dev_eui, accept, ended = self._joins.accept(uplink.phy, uplink.received_at)
        self._end(ended)
        return Joined(uplink, dev_eui, accept)

    def _open(self, uplink: Uplink) -> Opened:
        header = frame.decode_data(uplink.phy)
        session = self._session(header.dev_addr)
        device = self._devices.active(session.dev_eui)
        try:
            received = session.wire.open_uplink(uplink.phy)
        except wire_errors.NotAuthentic as error:
            raise FrameNotAuthentic(str(error), dev_eui=session.dev_eui, dev_addr=header.dev_addr) from error
        except wire_errors.Replayed as error:
            if uplink.phy == session.last_phy and session.repeats < _MAX_REPEATS:
                session.repeats += 1
                return Opened(uplink, session, device.kind, None, b"", header.confirmed, b"", repeated=True)
            raise ReplayedFrame(str(error), dev_eui=session.dev_eui, dev_addr=header.dev_addr) from error
        if not self._store.advance(session.row, received.fcnt + 1):
            raise ReplayedFrame(f"frame {received.fcnt} was taken elsewhere", dev_eui=session.dev_eui)
        session.last_phy, session.repeats = uplink.phy, 0
        self._keep(session)
        commands = received.payload if received.fport == 0 else received.fopts
        return Opened(
            uplink,
            session,
            device.kind,
            received.fport,
            received.payload,
            received.confirmed,
            _answers(commands, uplink.received_at),
            repeated=False,
        )

    def _session(self, dev_addr: int) -> LiveSession:
        live = self._live.get(dev_addr)
        if live is None:
            stored = self._store.by_address(dev_addr)
            if stored is None:
                raise UnknownAddress(f"no session has the address {dev_addr:08x}", dev_addr=dev_addr)
            live = self._live[dev_addr] = LiveSession(stored)
            if len(self._live) > _MAX_LIVE:
                self._live.popitem(last=False)
        self._live.move_to_end(dev_addr)
        return live

    def _keep(self, session: LiveSession) -> None:
        """Bring the disk up to a session that just proved itself."""
        if not session.confirmed:
            self._end(self._store.confirm(session.row, session.dev_eui))
            session.confirmed = True
        if session.wire.fcnt_down + _DOWN_LOW > session.reserved_down:
            self._reserve_down(session)  # in the transaction that commits anyway

    def _reserve_down(self, session: LiveSession) -> None:
        session.reserved_down = session.wire.fcnt_down + _DOWN_BLOCK
        self._store.reserve_down(session.row, session.reserved_down)

    def _end(self, addresses: list[int]) -> None:
        for dev_addr in addresses:
            self._live.pop(dev_addr, None)


def _answers(commands: bytes, received_at: float) -> bytes:
    answers = b""
    for cid, _ in maccommands.parse(commands, uplink=True):
        answer = b""
        if cid == maccommands.LINK_CHECK:
            answer = maccommands.link_check_ans(_WIRED_MARGIN_DB, 1)
        elif cid == maccommands.DEVICE_TIME and plausible(received_at):  # no time is better than a wrong one
            answer = maccommands.device_time_ans(round(received_at * 1000))
        if len(answers) + len(answer) <= frame.MAX_FOPTS:
            answers += answer
    return answers
