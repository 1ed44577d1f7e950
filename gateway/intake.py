# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What happens to a batch of frames, in the order that makes a receipt worth its name.

1. Counters and joins are committed (sessions). 2. Readings are committed (outbox). 3. Receipts, acknowledgements and
join-accepts are given out. A crash between 1 and 2 loses nothing: there was no receipt, so the device sends the reading
again, under a new counter. The other way round, a frame whose counter never reached the disk could be replayed.

Most batches bring readings and nothing else. The counter of each frame then goes into the outbox with its reading, in
the commit of step 2, and step 1 comes a second later for many batches at once: half as many waits for the disk.

Runs in the one thread that owns the databases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.wire import errors as wire_errors
from firmware.wire.frame import MAX_FOPTS
from firmware.wire.readings import (
    FPORT_ALARMS,
    FPORT_FRAGMENTS,
    FPORT_READINGS,
    FPORT_RECEIPTS,
    FPORT_UPDATE,
    MAX_BITMAP_BYTES,
    encode_receipt,
)
from gateway.errors import (
    CannotSign,
    MalformedFrame,
    OutboxFull,
    Refused,
    StoreUnavailable,
    UnknownPlugin,
    UnsupportedPort,
)
from gateway.links import Downlink
from gateway.network import scheduler
from gateway.network.duty import Priority
from gateway.network.live import Joined
from gateway.operate.logs import EventLog, Seldom
from gateway.outbox.devices import Arrival
from gateway.records import decoders, reading, replies
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.links import Uplink
    from gateway.network.live import Opened
    from gateway.network.quarantine import Quarantine
    from gateway.network.scheduler import Planned
    from gateway.network.server import NetworkServer
    from gateway.operate.counters import Counters
    from gateway.operate.sightings import Sightings
    from gateway.outbox.store import Outbox, Row

_MAC_PORT = 0
_MAX_APPLICATION_PORT = 223
"""224 is the test port, what is above is reserved (TS001 section 4.3.2)."""
_NOT_STORED = {
    StoreUnavailable: "store_unavailable",
    OutboxFull: "outbox_full",
    CannotSign: "certificate_ended",
}
_RECEIPT_BYTES = 10
"""Of a receipt besides its bitmap, at most."""


@dataclass(slots=True)
class _Answer:
    """What one device is told after a batch: one downlink, however many of its frames were in it."""

    to: Opened
    """Its last frame: the windows of that one are still ahead."""
    receipt: bool = False
    ack: bool = False
    alarm: bool = False
    wanted: bool = False
    """The device asked for any downlink at all."""
    fopts: bytes = b""

    @property
    def priority(self) -> Priority:
        if self.alarm:
            return Priority.ALARM
        return Priority.REPLY if self.receipt or self.ack or self.wanted else Priority.BACKGROUND


class Intake:
    """Frames in, downlinks out."""

    def __init__(
        self,
        server: NetworkServer,
        outbox: Outbox,
        counters: Counters,
        quarantine: Quarantine,
        sightings: Sightings | None = None,
        heard: Callable[[bytes, str, int, bytes], None] | None = None,
    ) -> None:
        self._server = server
        self._heard = heard
        self._outbox = outbox
        server.counter_of = outbox.counter
        self._counters = counters
        self._quarantine = quarantine
        self._log = EventLog("intake")
        self._seldom = Seldom()
        self._sightings = sightings
        self.state = "accepting"
        """Whether readings are taken, and if not, the name of the reason."""
        self.why = ""
        self._stored: list[Row] = []
        self._given_up = 0

    def take_stored(self) -> list[Row]:
        """Return the envelopes that were stored since the last call."""
        stored, self._stored = self._stored, []
        return stored

    def process(self, uplinks: Sequence[Uplink]) -> list[Downlink | Planned]:
        """Take a batch; return what may be sent now. Never raises for what came from outside. Raises StoreCorrupt."""
        try:
            joined, opened = self._receive(uplinks)
            arrivals = self._decode(opened)
            together = self._server.only_counters and not joined and None not in arrivals
            if not together:
                self._server.commit()
        except StoreUnavailable as error:
            return self._forget(error)
        if self._sightings is not None:
            self._sightings.note(opened, arrivals)
        for name in self._server.refusals():
            self._counters.add("mac_refused", name)
        stored = self._store(arrivals)
        if together and not stored:
            try:
                self._server.commit()
            except StoreUnavailable as error:
                return self._forget(error)
        accepts = [self._accept(each) for each in joined]
        return accepts + self._answers(opened, arrivals, stored=stored)

    def at_once(self, now_s: float) -> list[Planned]:
        """Return queued downlinks for devices that always listen."""
        try:
            return self._server.plan_at_once(now_s)
        except StoreUnavailable as error:
            self._forget(error)
        except ProvisioningError as error:
            self._register_unavailable(error)
        return []

    def _forget(self, error: StoreUnavailable) -> list[Downlink | Planned]:
        self._server.rollback()
        self._say("store_unavailable", error)
        return []

    def abandon(self) -> None:
        """Forget what a batch did in memory before it failed."""
        self._server.rollback()

    def _receive(self, uplinks: Sequence[Uplink]) -> tuple[list[Joined], list[Opened]]:
        joined: list[Joined] = []
        opened: list[Opened] = []
        debugging = self._log.debugging
        quickly = self._quickly()
        for uplink in uplinks:
            try:
                heard = quickly(uplink) or self._server.receive(uplink)
            except Refused as error:
                self._refuse(uplink, error)
            except ProvisioningError as error:
                self._register_unavailable(error)
            else:
                if debugging:
                    self._note(heard)
                if isinstance(heard, Joined):
                    joined.append(heard)
                    self._counters.add("frames", "joined")
                    self._log.info("joined", dev_eui=heard.dev_eui, link=uplink.link)
                else:
                    opened.append(heard)
        return joined, opened

    def _quickly(self) -> Callable[[Uplink], Opened | None]:
        try:
            return self._server.quickly()
        except ProvisioningError:  # then each frame is judged by what is remembered of its device
            return lambda _: None

    def _decode(self, opened: Sequence[Opened]) -> list[Arrival | None]:
        """Return what each frame brought; None for a frame without readings."""
        return [self._decode_one(each) for each in opened]

    def _decode_one(self, frame: Opened) -> Arrival | None:
        dev_eui = frame.session.dev_eui
        if frame.fport is None or frame.fport == _MAC_PORT:
            return None
        if frame.profile.decoder is not None:
            return self._decode_foreign(frame, frame.fport, frame.profile.decoder)
        try:
            if frame.fport in (FPORT_READINGS, FPORT_ALARMS):  # nearly all
                alarm, received_at = frame.fport == FPORT_ALARMS, frame.uplink.received_at
                payload = reading.decode(dev_eui, frame.kind, frame.payload, received_at, alarm=alarm)
                return Arrival(dev_eui, payload, frame.session.mark, frame.fcnt + 1)
            self._take_answer(frame, frame.fport, dev_eui)
        except wire_errors.Malformed as error:
            self._refuse(frame.uplink, MalformedFrame(str(error), dev_eui=dev_eui))
        except Refused as error:
            self._refuse(frame.uplink, error)
        return None

    def _take_answer(self, frame: Opened, fport: int, dev_eui: bytes) -> None:
        """Hand on what is no reading. Raises UnsupportedPort."""
        if fport in replies.FPORTS:
            self._log.info("answer", dev_eui=dev_eui, **replies.describe(frame.kind, fport, frame.payload))
        elif fport not in (FPORT_UPDATE, FPORT_FRAGMENTS):
            raise UnsupportedPort(f"nothing is taken on FPort {fport}", dev_eui=dev_eui)
        self._counters.add("frames", "answers")
        if self._heard is not None:
            self._heard(dev_eui, frame.kind, fport, frame.payload)

    def _decode_foreign(self, frame: Opened, fport: int, decoder: str) -> Arrival | None:
        dev_eui, received_at = frame.session.dev_eui, frame.uplink.received_at
        try:
            if fport > _MAX_APPLICATION_PORT:
                raise UnsupportedPort(f"FPort {fport} is not for applications", dev_eui=dev_eui)
            seq = decoders.seq_of(frame.session.join_nonce, frame.fcnt)
            payload = decoders.read(decoder, dev_eui, frame.kind, seq, (fport, frame.payload), received_at)
        except (wire_errors.Malformed, UnknownPlugin) as error:
            self._refuse(frame.uplink, MalformedFrame(str(error), dev_eui=dev_eui))
        except Refused as error:
            self._refuse(frame.uplink, error)
        else:
            return Arrival(dev_eui, payload, frame.session.mark, frame.fcnt + 1)
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
        self._stored.extend(accepted.rows)
        self._note_losses()
        for name in ("new", "duplicates", "unreadable", "too_sparse", "gone"):
            self._counters.add("readings", name, getattr(accepted, name))
        if accepted.unreadable and self._seldom.allow("unreadable") is not None:
            why = next(each.why for arrival in batch for each in arrival.payload.unreadable)
            self._log.warning("unreadable", readings=accepted.unreadable, why=why, kept="in the outbox, not published")
        if accepted.gone and self._seldom.allow("gone") is not None:
            self._log.warning("device_gap", readings=accepted.gone, why="the device lost them before we had them")
        return True

    def _note_losses(self) -> None:
        lost, self._given_up = self._outbox.given_up - self._given_up, self._outbox.given_up
        self._counters.add("readings", "given_up", lost)
        if lost and self._seldom.allow("given_up") is not None:
            self._log.error("given_up", readings=lost, why="the outbox is full", effect="platforms get a signed notice")

    def _accept(self, joined: Joined) -> Downlink | Planned:
        if joined.uplink.radio is not None:
            return self._server.plan_join(joined)
        return Downlink(joined.uplink.link, joined.uplink.address, joined.accept)

    def _answers(
        self, opened: Sequence[Opened], arrivals: Sequence[Arrival | None], *, stored: bool
    ) -> list[Downlink | Planned]:
        answers: dict[bytes, _Answer] = {}
        quiet: dict[bytes, Opened] = {}
        for frame, arrival in zip(opened, arrivals, strict=True):
            session = frame.session
            if arrival is not None and _is_quiet(frame, arrival) and session.dev_eui not in answers:
                session.taken, session.receipt_asked, session.alarm = stored, False, False
                quiet[session.dev_eui] = frame
                continue
            quiet.pop(session.dev_eui, None)
            if arrival is not None:
                numbered = arrival.payload.numbered
                session.alarm = numbered and frame.fport == FPORT_ALARMS
                session.receipt_asked = numbered and (session.alarm or arrival.payload.oldest is not None)
            # What a frame brought is taken when it is on disk. What cannot be read never is, nor is it acknowledged.
            session.taken = session.taken if frame.repeated and arrival is None else self._taken(frame, arrival, stored)
            answer = answers.setdefault(session.dev_eui, _Answer(frame))
            answer.to = frame
            if len(answer.fopts) + len(frame.mac_answers) <= MAX_FOPTS:
                answer.fopts += frame.mac_answers
            answer.receipt |= session.taken and session.receipt_asked
            if frame.confirmed:
                answer.ack = session.taken  # an ACK names no frame: the device takes it for its last
            answer.alarm |= session.alarm
            answer.wanted |= frame.adr_ack_req
        content = self._server.has_nothing_for
        answers |= {dev_eui: _Answer(frame) for dev_eui, frame in quiet.items() if not content(frame)}
        return [down for each in answers.values() if (down := self._answer(each)) is not None]

    def _answer(self, answer: _Answer) -> Downlink | Planned | None:
        try:
            return self._sealed(answer)
        except StoreUnavailable as error:
            self._forget(error)
        except wire_errors.CounterExhausted as error:
            self._log.warning("counter_exhausted", dev_eui=answer.to.session.dev_eui, why=error)
        return None

    def _sealed(self, answer: _Answer) -> Downlink | Planned | None:
        server, session, uplink = self._server, answer.to.session, answer.to.uplink
        room_bytes = scheduler.room_bytes(uplink, session.radio)
        alone = answer.priority is Priority.BACKGROUND and not answer.fopts and not server.queue.waits(session.dev_eui)
        fopts = answer.fopts + server.requests(answer.to, MAX_FOPTS - len(answer.fopts), alone=alone)
        item, priority = None, answer.priority
        if answer.receipt:
            receipt = self._outbox.receipt(session.dev_eui)
            bitmap_bytes = min(MAX_BITMAP_BYTES, room_bytes - len(fopts) - _RECEIPT_BYTES)
            payload = encode_receipt(receipt.contiguous, receipt.above, bitmap_bytes)
            phy = server.answer(session, FPORT_RECEIPTS, payload, ack=answer.ack, fopts=fopts)
        elif uplink.radio and (item := server.queue.take(session.dev_eui, room_bytes - len(fopts), uplink.heard_at_s)):
            phy = server.carry(session, item, uplink.heard_at_s, ack=answer.ack, fopts=fopts)
            priority = max(priority, item.priority)
        elif answer.ack or fopts or answer.wanted:
            phy = server.answer(session, None, b"", ack=answer.ack, fopts=fopts)
        else:
            return None
        self._counters.add("frames", "receipts", int(answer.receipt))
        if uplink.radio is not None:
            return server.plan(answer.to, phy, priority, item)
        return Downlink(uplink.link, uplink.address, phy)

    def _note(self, heard: Joined | Opened) -> None:
        """For whoever looks at the radio: how this frame was heard best, and by how many."""
        radio = heard.uplink.radio
        if radio is None:
            return
        self._log.debug(
            "heard",
            dev_eui=heard.dev_eui if isinstance(heard, Joined) else heard.session.dev_eui,
            gateway=radio.gateway_eui,
            gateways=1 + len(heard.uplink.others),
            sf=radio.sf,
            freq_hz=radio.freq_hz,
            rssi_dbm=radio.rssi_dbm,
            snr_db=radio.snr_db,
        )

    def _register_unavailable(self, error: ProvisioningError) -> None:
        self._counters.add("refused", "register_unavailable")
        if self._seldom.allow("register") is not None:
            self._log.error("register_unavailable", why=error)

    @staticmethod
    def _taken(frame: Opened, arrival: Arrival | None, stored: bool) -> bool:
        return stored if arrival is not None else frame.fport in (None, _MAC_PORT)

    def _refuse(self, uplink: Uplink, error: Refused) -> None:
        self._counters.add("refused", error.reason)
        self._quarantine.add(uplink, error)
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
        self.why = "" if why is None else str(why)
        if state == self.state:
            return
        self.state = state
        if why is None:
            self._log.info("accepting_again")
        else:
            self._log.error(state, why=why, effect="no receipts are given; devices keep their readings")


def _is_quiet(frame: Opened, arrival: Arrival) -> bool:
    """Tell that a frame asks for nothing: most do not."""
    return (
        arrival.payload.oldest is None
        and frame.fport == FPORT_READINGS
        and not (frame.confirmed or frame.mac_answers or frame.adr_ack_req)
    )
