# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The tasks that talk to the network: join, send what delivery decides, take in what comes down."""

import asyncio

from firmware.node.errors import JoinRefused, NonceExhausted, NotJoined
from firmware.node.jitter import jitter
from firmware.node.links import ACK, NOT_OURS, OURS
from firmware.node.log import log, log_error
from firmware.wire import frame, maccommands, readings
from firmware.wire.errors import CounterExhausted, WireError

_GRACE_MS = 30000
_JOIN_BACKOFF_MAX_MS = 3600000  # DevNonces are few: 65536 for a life
_REJOIN_AFTER = 4  # unanswered requests in a row, half a minute on a serial line: the session may be lost there
_TIME_ASK_MS = 20000  # do not ask for the time again before
_OFFLINE_MS = 60000
_LONG_PAUSE_MS = 5000
_HURRY_EVERY_MS = 30000
_HURRIES = 24  # so often a sign of life may cut a long wait short; one comes back every hour
_HURRY_REFILL_MS = 3600000
_MAX_FOPTS = 15
_PROPRIETARY = b"\xe0"
_REQUESTS = (readings.FPORT_COMMANDS, readings.FPORT_SETTINGS, readings.FPORT_UPDATE, readings.FPORT_FRAGMENTS)


class Network:
    """*mac* is None on a board whose LoRaWAN state is lost: it stays silent and keeps its readings."""

    def __init__(self, mac, link, delivery, alarms, queue, clock, watchdog) -> None:
        self._mac = mac
        self._link = link
        self._rules = getattr(link, "layer", None)  # LoRaWAN's rules of the air, where the link is a radio
        self._tell = getattr(link, "away", None)
        self._away = False  # nobody listened when there was something to do
        self._rejoin_after = getattr(link, "rejoin_after", _REJOIN_AFTER)
        self._asking = False  # the uplink in hand asks for the time
        self._delivery = delivery
        self._alarms = alarms
        self._alarm_sent = False  # the last uplink was an alarm: an acknowledgement is for it
        self._queue = queue
        self._clock = clock
        self._watchdog = watchdog
        self._wake = asyncio.Event()
        self._joined = asyncio.Event()
        self._join_failures = 0
        self._rejoined_at = 0  # the count of unanswered requests for which a join was tried already
        self._alive_at = 0  # the count of unanswered requests when the network was last heard
        self._time_asked = None  # type: int | None  # when the uplink that asks for the time had left
        self._hurries = _HURRIES
        self._hurry = False
        self._pause_end = 0
        self.rest_end = 0  # when the uplink has something to do again, if nothing else happens before
        self._hurry_at = -_HURRY_EVERY_MS
        self.refused = 0
        self.receipts = 0  # since the start
        self.contact_ms = clock.monotonic_ms()  # when an authentic frame came the last time, or the start
        self.outgoing = []  # type: list[tuple[int, bytes]]  # FPort and payload of answers that wait
        self.on_request = None  # what takes FPort and payload of a request
        self.on_proprietary = None  # what takes a frame that is not LoRaWAN's, and says whether it is authentic
        link.on_heard = self._heard
        if self._rules is not None and mac is not None:
            self._rules.attach(mac, clock.monotonic_ms)
            link.attach(self)

    @property
    def _layer(self):
        """The rules of the air for the frame in hand; None where it does not go on air."""
        return None if self._rules is None or getattr(self._link, "near", False) else self._rules

    def wake(self) -> None:
        """There is something to do: look at once."""
        self._wake.set()

    def hurry(self) -> None:
        """There is something that cannot wait for the end of a long back-off."""
        self._heard()

    def kept(self) -> list:
        """Return what must outlive a deep sleep, beside itself."""
        found = [self._delivery, self._alarms]
        if self._mac is not None and self._mac.session is not None:
            found.append(self._mac.session)
        return found if self._rules is None else found + self._rules.kept()

    def held(self) -> int:
        """Return how many readings wait for their receipt."""
        return self._queue.held()

    def rerouted(self) -> None:
        """Frames take another way from now on: hear at once what has arrived. A join stays rationed."""
        if self._mac is None or self._mac.session is None:
            self._heard()
            return
        self._delivery.restart(self._clock.monotonic_ms())
        self._hurry = True
        self._wake.set()

    async def uplink(self) -> None:
        """Task: join when needed, send what is due, wait for the next occasion."""
        if self._mac is not None and self._mac.session is None:  # out of deep sleep, where a wait went on
            await self._pause(self._pause_end - self._clock.monotonic_ms(), only_hurry=True)
        while True:
            if self._tell is not None and self._mac is not None:
                waiting = self._mac.session is None or bool(self.outgoing) or self._queue.held() > 0
                self._tell(waiting, self._alarms.wait_ms(0) is not None)
            if self._mac is None:
                await self._pause(_OFFLINE_MS)
            elif not getattr(self._link, "reachable", True):  # a nonce or a frame would be wasted
                self._away = True
                await self._pause(_OFFLINE_MS)
            elif self._mac.session is None or self._should_rejoin():
                await self._join()
            else:
                await self._send_due()

    async def downlink(self) -> None:
        """Task: take in frames, one by one; what is not ours or not right is counted and forgotten."""
        judged = getattr(self._link, "judged", None)
        while True:
            phy = await self._link.receive()
            if self.on_proprietary is not None and phy[:1] == _PROPRIETARY:
                ours = await self.on_proprietary(phy)
            else:
                ours = self.deliver(phy) != NOT_OURS
            if judged is not None:
                judged(ours)

    def deliver(self, phy: bytes, snr_db: int = 0, class_c: bool = False) -> int:
        """Take in one frame and return what it was: see links.NOT_OURS, OURS, ACK."""
        try:
            return self._take_in(phy, snr_db, class_c)
        except (WireError, JoinRefused, NotJoined) as error:
            self.refused += 1
            log_error("downlink", error)
            return NOT_OURS

    def left(self, at_ms: int) -> None:
        """The uplink in hand, or one more copy of it, had left at this moment."""
        if self._asking:
            self._time_asked = at_ms

    def alive(self, within_ms: int) -> None:
        """A link that takes its time is still at work, for so long."""
        self._watchdog.expect("uplink", within_ms + _GRACE_MS)

    async def _send_due(self) -> None:
        now = self._clock.monotonic_ms()
        layer = self._layer
        wait = 0 if layer is None else layer.prepare(False)
        if wait > 0:  # the band's duty cycle; readings stay in flash meanwhile
            await self._pause(wait)
            return
        own = None if layer is None else layer.own_frame()
        if own is not None:
            await self._send(*own)
            return
        fopts, asks_time = self._commands(now)
        alarm = self._alarms.next_frame(now, self._link.max_payload - len(fopts))
        if alarm is not None:
            self._delivery.skip(self._alarms.sent)
            await self._send(readings.FPORT_ALARMS, alarm, fopts, asks_time, True)
            return
        if self.outgoing and len(self.outgoing[0][1]) + len(fopts) <= self._link.max_payload:
            fport, answer = self.outgoing.pop(0)
            await self._send(fport, answer, fopts, asks_time)
            return
        payload = self._delivery.next_frame(now, self._link.max_payload - len(fopts))
        if payload is None and not self._mac.ack_due and not (layer is not None and layer.urgent):
            waits = [self._delivery.wait_ms(now), self._alarms.wait_ms(now)]
            rest_ms = min([wait for wait in waits if wait is not None])
            await self._pause(rest_ms if layer is None else min(rest_ms, layer.due_ms()), rest_ms=rest_ms)
            return
        await self._send(None if payload is None else readings.FPORT_READINGS, payload or b"", fopts, asks_time)

    def _commands(self, now: int) -> tuple[bytes, bool]:
        """Return the MAC commands of the next uplink, and whether they ask for the time."""
        fopts = b"" if self._layer is None else self._layer.fopts()
        asks_time = self._clock.due() and (self._time_asked is None or now - self._time_asked >= _TIME_ASK_MS)
        if asks_time and len(fopts) < _MAX_FOPTS:
            fopts += maccommands.device_time_req()
        wanted = self._delivery.unanswered or getattr(self._link, "doubtful", False)
        if wanted and len(fopts) < _MAX_FOPTS:
            fopts += maccommands.link_check_req()
        return fopts, asks_time

    async def _send(
        self, fport: int | None, payload: bytes, fopts: bytes, asks_time: bool = False, alarm: bool = False
    ) -> None:
        try:
            phy = (self._layer or self._mac).seal(fport, payload, fopts, alarm)
        except CounterExhausted as error:
            log_error("uplink: new session needed", error)
            self._mac.leave()
            return
        self._asking = asks_time
        self._alarm_sent = alarm
        self.alive(0)
        if self._layer is None:  # a radio says so itself, before it listens; on a cable the answer may be here at once
            self.left(self._clock.monotonic_ms())
        await self._link.send(phy)

    async def _join(self) -> None:
        """Try to join once. Without a session, wait before the next time, ever longer."""
        session = self._mac.session
        wait = 0 if self._layer is None else self._layer.prepare(True)
        if wait > 0 and session is None:
            await self._pause(wait, only_hurry=True)
            return
        self._rejoined_at = self._delivery.unanswered
        if wait > 0:  # the old session may still be good; joining must not silence it
            return
        try:
            phy = self._mac.join_request()
        except NonceExhausted as error:
            log_error("uplink: no network any more", error)
            if session is None:
                self._mac = None
            return
        log("uplink", "joining, attempt %d" % (self._join_failures + 1))
        self._joined.clear()
        self._asking = False
        self.alive(self._link.reply_timeout_ms)
        on_air = self._layer is not None
        await self._link.send(phy)
        try:
            # behind a radio's windows nothing comes any more
            await asyncio.wait_for_ms(self._joined.wait(), 1 if on_air else self._link.reply_timeout_ms)
        except asyncio.TimeoutError:
            self._join_failures += 1
            if self._mac.session is None:
                backoff = self._link.reply_timeout_ms << min(self._join_failures - 1, 20)
                self._wake.clear()
                await self._pause(jitter(min(backoff, _JOIN_BACKOFF_MAX_MS)), only_hurry=True)

    def _should_rejoin(self) -> bool:
        unanswered = self._delivery.unanswered
        if not unanswered:
            self._rejoined_at = self._alive_at = 0
        silent = unanswered - self._alive_at
        return silent > 0 and silent % self._rejoin_after == 0 and unanswered != self._rejoined_at

    async def _pause(self, ms: int, only_hurry: bool = False, rest_ms: int | None = None) -> None:
        """Wait so long, or until there is something to do; *rest_ms*: so long it may be in deep sleep."""
        self._pause_end = end = self._clock.monotonic_ms() + ms
        self.rest_end = end if rest_ms is None else end - ms + rest_ms
        self._hurry = False
        if ms <= 0:  # whoever asked looks again; the others must have their turn
            await asyncio.sleep_ms(0)
        while ms > 0:
            self._watchdog.expect("uplink", ms + _GRACE_MS)
            try:
                await asyncio.wait_for_ms(self._wake.wait(), ms)
            except asyncio.TimeoutError:
                return
            self._wake.clear()
            if self._hurry or not only_hurry:
                return
            ms = end - self._clock.monotonic_ms()

    def _heard(self) -> None:
        """Somebody is at the other end: do not sleep through a long back-off. Rationed, since noise is heard too."""
        now = self._clock.monotonic_ms()
        if self._away:
            self._away = False
            self._delivery.restart(now)
            self._wake.set()
            return
        waiting = self._delivery.unanswered or (self._mac is not None and self._mac.session is None)
        long = self._pause_end - now > _LONG_PAUSE_MS
        if not (waiting and long) or now - self._hurry_at < _HURRY_EVERY_MS:
            return
        self._hurries = min(_HURRIES, self._hurries + (now - max(0, self._hurry_at)) // _HURRY_REFILL_MS)
        if self._hurries > 0:
            self._hurries -= 1
            self._hurry_at = now
            self._hurry = True
            self._join_failures = 0
            self._delivery.restart(now)
            self._wake.set()

    def _take_in(self, phy: bytes, snr_db: int, class_c: bool) -> int:
        if frame.mtype(phy) == frame.JOIN_ACCEPT:
            self._mac_or_refuse().accept(phy, None if self._rules is None else self._rules.joined)
            log("downlink", "joined as %08x" % self._mac.session.dev_addr)
            self._join_failures = 0
            self._time_asked = None
            self._delivery.restart(self._clock.monotonic_ms())
            self._alarms.hurry()
            self._joined.set()
            return OURS
        received = self._mac_or_refuse().open(phy)
        self._alive_at = self._delivery.unanswered
        self.contact_ms = self._clock.monotonic_ms()
        self._wake.set()
        heard = OURS
        if received.ack:
            heard = ACK
            if self._alarm_sent:
                self._alarms.acknowledged()
        if self._layer is not None and not self._layer.received(received, snr_db, class_c):
            return heard
        if not class_c:  # TS001 section 17: no MAC commands there
            self._obey(received.payload if received.fport == 0 else received.fopts)
        if received.fport == readings.FPORT_RECEIPTS:
            self._receipt(received.payload)
        elif received.fport in _REQUESTS and self.on_request is not None:
            self.on_request(received.fport, received.payload)
        elif received.fport:
            log("downlink", "nothing here listens on FPort %d" % received.fport)
        return heard

    def _mac_or_refuse(self):
        if self._mac is None:
            raise NotJoined("a frame, but this board has no LoRaWAN state")
        return self._mac

    def _obey(self, commands: bytes) -> None:
        for cid, payload in maccommands.parse(commands, False):
            if cid == maccommands.DEVICE_TIME and self._time_asked is not None:
                unix_ms = maccommands.decode_device_time_ans(payload)
                if not self._clock.set(unix_ms, self._time_asked):
                    log("clock", "%d ms since 1970 cannot be; not taken" % unix_ms)
                elif self._clock.jump_ms:
                    log("clock", "moved by %d ms" % self._clock.jump_ms)

    def _receipt(self, payload: bytes) -> None:
        contiguous, above = readings.decode_receipt(payload)
        self.receipts += 1
        if contiguous >= self._queue.next_seq:
            made = self._queue.next_seq - 1
            log("downlink", "the gateway holds readings up to %d, this board made %d; renumbered" % (contiguous, made))
            self._queue.renumber(contiguous)
            self._delivery.renumbered()
            self._alarms.renumbered()
            return
        self._delivery.on_receipt(contiguous, above)
