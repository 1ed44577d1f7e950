# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The LoRa modem inside a radio chip: what it does in time between the chip's commands and the air.

Every moment is in microseconds of air time. What happens at a moment is known a little later (the air's slack), and
is told with the moment at which it happened.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from boards.virtual.air.airtime import symbol_us, time_on_air_us
from boards.virtual.models._air_link import AirLink
from boards.virtual.site import Site


@dataclass(frozen=True)
class Tuning:
    """What a receiver must match."""

    freq_hz: int
    sf: int
    bw_hz: int
    iq: bool
    sync: int

    @property
    def symbol_us(self) -> int:
        """Length of a symbol."""
        return symbol_us(self.sf, self.bw_hz)


@dataclass(frozen=True)
class Heard:
    """A frame at its end. crc_ok is False only where the frame has a CRC and it is wrong: a chip knows no more."""

    data: bytes
    rssi_dbm: int
    snr_db: float
    crc_ok: bool


class ModemUser(Protocol):
    """The chip around the modem; each call says when it happened."""

    def on_sent(self, at_us: int) -> None:
        """The frame is over."""

    def on_preamble(self, at_us: int) -> None:
        """A preamble was detected."""

    def on_header(self, at_us: int) -> None:
        """A header was decoded."""

    def on_heard(self, at_us: int, heard: Heard) -> None:
        """A frame was received. In single mode the modem has stopped."""

    def on_timeout(self, at_us: int) -> None:
        """Nothing came in time; the modem has stopped."""


class LoraModem:
    """Sends or listens, one at a time."""

    def __init__(self, user: ModemUser, site: Site | None, complain: Callable[[str], None]) -> None:
        self._user = user
        self._link = AirLink(site, self._hear, complain)
        self._timer: asyncio.TimerHandle | None = None
        self._listening = False
        self._carries = False
        self._single = False
        self.since_us = 0  # when the receiver was opened last
        self._deadlines: dict[str, int] = {}
        self._stop_at_preamble = False
        self.frames_sent = 0
        self.frames_heard = 0

    @property
    def slack_us(self) -> int:
        """How far back in time the air takes messages."""
        return self._link.slack_us

    def power(self, on: bool) -> None:
        """PortError if there should be an air and is none."""
        self._rest()
        if on:
            self._link.open()
        else:
            self._link.close()

    def send(
        self,
        at_us: int,
        tuning: Tuning,
        data: bytes,
        *,
        crc: bool,
        cr: int,
        preamble: int,
        power_dbm: float,
        timeout_us: int,
    ) -> None:
        """Send from that moment; on_timeout if a timeout above 0 is shorter than the frame."""
        self._rest()
        air_us = time_on_air_us(tuning.sf, tuning.bw_hz, len(data), crc, cr, preamble)
        self._link.say(
            op="tx",
            at_us=at_us,
            **asdict(tuning),
            cr=cr,
            preamble=preamble,
            crc=crc,
            power_dbm=power_dbm,
            data=data.hex(),
        )
        if 0 < timeout_us < air_us:
            until_us = at_us + timeout_us
            self._link.say(op="idle", from_us=until_us)
            self._at(until_us, lambda: self._user.on_timeout(until_us))
            return
        until_us = at_us + air_us

        def sent() -> None:
            self.frames_sent += 1
            self._user.on_sent(until_us)

        self._at(until_us, sent)

    def carry(self, at_us: int, freq_hz: int, power_dbm: float) -> None:
        """Send an unmodulated carrier from that moment until stop()."""
        self._rest()
        self._carries = True
        self._link.say(op="carrier", from_us=at_us, freq_hz=freq_hz, power_dbm=power_dbm)

    def listen(
        self,
        at_us: int,
        tuning: Tuning,
        *,
        symbols: int = 0,
        timeout_us: int = 0,
        stop_at_preamble: bool = False,
        single: bool = True,
        deaf: bool = False,
    ) -> None:
        """Listen from that moment; a preamble must come within *symbols*, a header within *timeout_us* (0: no limit).

        A *deaf* modem runs its timers and hears nothing.
        """
        self._rest()
        self._listening, self._single, self.since_us = True, single, at_us
        self._stop_at_preamble = stop_at_preamble
        if symbols:
            self._deadlines["symbols"] = at_us + symbols * tuning.symbol_us
        if timeout_us:
            self._deadlines["timer"] = at_us + timeout_us
        if not deaf:
            self._link.say(op="listen", from_us=at_us, **asdict(tuning))
        self._set_alarm()

    def stop(self, at_us: int) -> None:
        """Neither send nor listen from that moment."""
        if self._listening or self._carries or self._timer is not None:
            self._link.say(op="idle", from_us=at_us)
        self._rest()

    def _rest(self) -> None:
        self._listening = self._carries = False
        self._deadlines.clear()
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _at(self, at_us: int, what: Callable[[], None]) -> None:
        self._cancel()

        def expire() -> None:
            self._timer = None
            what()

        self._timer = asyncio.get_running_loop().call_at(at_us / 1e6, expire)

    def _set_alarm(self) -> None:
        self._cancel()
        if not self._deadlines:
            return
        at_us = min(self._deadlines.values())
        since_us = self.since_us

        def decided() -> None:
            if self._listening and self.since_us == since_us and at_us in self._deadlines.values():
                self._rest()
                self._link.say(op="idle", from_us=at_us)
                self._user.on_timeout(at_us)

        # Only when the slack has passed is it sure that nothing came before that moment.
        self._at(at_us + self._link.slack_us, lambda: self._link.after_decisions(decided))

    def _hear(self, event: dict[str, Any]) -> None:
        at_us = event.get("at_us", 0)
        if not self._listening or event["op"] == "txed" or at_us < self.since_us:
            return
        if event["op"] == "preamble":
            self._passed("symbols", at_us)
            if self._stop_at_preamble:
                self._passed("timer", at_us)
            self._user.on_preamble(at_us)
        elif event["op"] == "header":
            self._passed("timer", at_us)
            self._user.on_header(at_us)
        elif event["op"] == "rx":
            self._passed("timer", at_us)  # a frame that ends with its header has no event for that
            if self._deadlines:
                return
            self.frames_heard += 1
            if self._single:
                self._rest()
                self._link.say(op="idle", from_us=at_us)
            crc_ok = event["crc_ok"] or not event["crc"]
            self._user.on_heard(at_us, Heard(bytes.fromhex(event["data"]), event["rssi_dbm"], event["snr_db"], crc_ok))

    def _passed(self, name: str, at_us: int) -> None:
        if self._deadlines.get(name, at_us) >= at_us:
            self._deadlines.pop(name, None)
            self._set_alarm()
