# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What happens to a batch of frames, in the order that makes a receipt worth its name.

1. Counters and joins are committed (sessions). 2. Readings are committed (outbox). 3. Receipts, acknowledgements and
join-accepts are given out. A crash between 1 and 2 loses nothing: there was no receipt, so the device sends the reading
again, under a new counter. The other way round, a frame whose counter never reached the disk could be replayed.

Runs in the one thread that owns the databases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.wire import errors as wire_errors
from firmware.wire.frame import MAX_FOPTS
from firmware.wire.readings import FPORT_ALARMS, FPORT_READINGS, FPORT_RECEIPTS, encode_receipt
from gateway.errors import CannotSign, MalformedFrame, OutboxFull, Refused, StoreUnavailable, UnsupportedPort
from gateway.links import Downlink
from gateway.network.server import Joined
from gateway.operate.logs import EventLog, Seldom
from gateway.outbox.devices import Arrival
from gateway.records import reading
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.links import Uplink
    from gateway.network.server import LiveSession, NetworkServer, Opened
    from gateway.operate.counters import Counters
    from gateway.outbox.store import Outbox

_MAC_PORT = 0
_NOT_STORED = {
    StoreUnavailable: "store_unavailable",
    OutboxFull: "outbox_full",
    CannotSign: "certificate_ended",
}


@dataclass(slots=True)
class _Answer:
    """What one device is told after a batch: one downlink, however many of its frames were in it."""

    session: LiveSession
    uplink: Uplink
    receipt: bool = False
    ack: bool = False
    fopts: bytes = b""


class Intake:
    """Frames in, downlinks out."""

    def __init__(self, server: NetworkServer, outbox: Outbox, counters: Counters) -> None:
        self._server = server
        self._outbox = outbox
        self._counters = counters
        self._log = EventLog("intake")
        self._seldom = Seldom()
        self._state = "accepting"

    def process(self, uplinks: Sequence[Uplink]) -> list[Downlink]:
        """Take a batch; return what may be sent now. Never raises for what came from outside. Raises StoreCorrupt."""
        try:
            joined, opened = self._receive(uplinks)
            arrivals = self._decode(opened)
            self._server.commit()
        except StoreUnavailable as error:
            self._server.rollback()
            self._say("store_unavailable", error)
            return []
        stored = self._store(arrivals)
        downlinks = [Downlink(each.uplink.link, each.uplink.address, each.accept) for each in joined]
        return downlinks + self._answers(opened, arrivals, stored=stored)

    def abandon(self) -> None:
        """Forget what a batch did in memory before it failed."""
        self._server.rollback()

    def _receive(self, uplinks: Sequence[Uplink]) -> tuple[list[Joined], list[Opened]]:
        joined: list[Joined] = []
        opened: list[Opened] = []
        for uplink in uplinks:
            try:
                heard = self._server.receive(uplink)
            except Refused as error:
                self._refuse(uplink, error)
            except ProvisioningError as error:
                self._counters.add("refused", "register_unavailable")
                if self._seldom.allow("register") is not None:
                    self._log.error("register_unavailable", why=error)
            else:
                if isinstance(heard, Joined):
                    joined.append(heard)
                    self._counters.add("frames", "joined")
                    self._log.info("joined", dev_eui=heard.dev_eui, link=uplink.link)
                else:
                    opened.append(heard)
        return joined, opened

    def _decode(self, opened: Sequence[Opened]) -> list[Arrival | None]:
        """Return what each frame brought; None for a frame without readings."""
        return [self._decode_one(each) for each in opened]

    def _decode_one(self, frame: Opened) -> Arrival | None:
        dev_eui = frame.session.dev_eui
        if frame.repeated or frame.fport in (None, _MAC_PORT):
            return None
        try:
            if frame.fport not in (FPORT_READINGS, FPORT_ALARMS):
                raise UnsupportedPort(f"nothing is taken on FPort {frame.fport}", dev_eui=dev_eui)
            return Arrival(dev_eui, reading.decode(dev_eui, frame.kind, frame.payload, frame.uplink.received_at))
        except wire_errors.Malformed as error:
            self._refuse(frame.uplink, MalformedFrame(str(error), dev_eui=dev_eui))
        except Refused as error:
            self._refuse(frame.uplink, error)
        return None

    def _store(self, arrivals: Sequence[Arrival | None]) -> bool:
        """Put the readings on disk; False when they are not, and nobody may be told that they are."""
        batch = [each for each in arrivals if each is not None]
        if not batch:
            return True
        try:
            accepted = self._outbox.accept(batch)
        except (StoreUnavailable, OutboxFull, CannotSign) as error:
            self._say(_NOT_STORED[type(error)], error)
            self._counters.add("readings", "not_taken", sum(len(each.payload.readings) for each in batch))
            return False
        self._say("accepting", None)
        for name in ("new", "duplicates", "unreadable", "too_sparse", "gone"):
            self._counters.add("readings", name, getattr(accepted, name))
        if accepted.unreadable and self._seldom.allow("unreadable") is not None:
            why = next(each.why for arrival in batch for each in arrival.payload.unreadable)
            self._log.warning("unreadable", readings=accepted.unreadable, why=why, kept="in the outbox, not published")
        if accepted.gone and self._seldom.allow("gone") is not None:
            self._log.warning("device_gap", readings=accepted.gone, why="the device lost them before we had them")
        return True

    def _answers(self, opened: Sequence[Opened], arrivals: Sequence[Arrival | None], *, stored: bool) -> list[Downlink]:
        answers: dict[bytes, _Answer] = {}
        for frame, arrival in zip(opened, arrivals, strict=True):
            answer = answers.setdefault(frame.session.dev_eui, _Answer(frame.session, frame.uplink))
            answer.session, answer.uplink = frame.session, frame.uplink
            if len(answer.fopts) + len(frame.mac_answers) <= MAX_FOPTS:
                answer.fopts += frame.mac_answers
            asked = arrival is not None and (arrival.payload.oldest is not None or frame.fport == FPORT_ALARMS)
            answer.receipt |= stored and (asked or frame.repeated)
            answer.ack |= stored and frame.confirmed
        return [down for each in answers.values() if (down := self._answer(each)) is not None]

    def _answer(self, answer: _Answer) -> Downlink | None:
        if not (answer.receipt or answer.ack or answer.fopts):
            return None
        fport, payload = None, b""
        try:
            if answer.receipt:
                receipt = self._outbox.receipt(answer.session.dev_eui)
                fport, payload = FPORT_RECEIPTS, encode_receipt(receipt.contiguous, receipt.above)
            phy = self._server.answer(answer.session, fport, payload, ack=answer.ack, fopts=answer.fopts)
        except StoreUnavailable as error:
            self._server.rollback()
            self._say("store_unavailable", error)
            return None
        except wire_errors.CounterExhausted as error:
            self._log.warning("counter_exhausted", dev_eui=answer.session.dev_eui, why=error)
            return None
        self._counters.add("frames", "receipts", int(answer.receipt))
        return Downlink(answer.uplink.link, answer.uplink.address, phy)

    def _refuse(self, uplink: Uplink, error: Refused) -> None:
        self._counters.add("refused", error.reason)
        held_back = self._seldom.allow((error.reason, error.dev_eui))
        if held_back is not None:
            fields = {
                "reason": error.reason,
                "why": error,
                "link": uplink.link,
                "dev_eui": error.dev_eui,
                "not_logged": held_back or None,
            }
            self._log.warning("refused", **{name: value for name, value in fields.items() if value is not None})

    def _say(self, state: str, why: Exception | None) -> None:
        if state != "accepting":
            self._counters.add("outbox", state)
        if state == self._state:
            return
        self._state = state
        if why is None:
            self._log.info("accepting_again")
        else:
            self._log.error(state, why=why, effect="no receipts are given; devices keep their readings")
