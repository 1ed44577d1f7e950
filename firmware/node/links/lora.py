# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa as a link: when to send, when to listen. What the frames mean, ``lorawan.layer`` and the network know.

After each uplink two windows open, a second apart; what comes in one of them is handed on at once, since a frame for us
ends the exchange (TS001 section 3.3). A class C board listens on the parameters of RX2 whenever it does nothing else.
"""

import asyncio
import gc
import time

from micropython import const

from firmware.node.lazy import borrowed
from firmware.node.links import ACK, NOT_OURS, OURS
from firmware.node.log import log, log_error
from firmware.node.lorawan.layer import CLASS_C, Layer, below
from firmware.node.lorawan.windows import receive_window
from firmware.node.radio import RadioError, open_radio
from firmware.wire import region
from firmware.wire.frame import CONFIRMED_UP, JOIN_REQUEST

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

_REPLY_TIMEOUT_MS = const(20000)
_REJOIN_AFTER = const(16)  # each of them may be two minutes or more of lost frames; a DevNonce is forever
_WINDOW_ERROR_US = const(20000)  # of the board's clock, of its interpreter and of the gateway, either way
_WINDOW_LEAD_US = const(60000)  # class C reception ends so long before a window, which must be prepared
_RETRANSMIT_MIN_MS = const(1000)  # RETRANSMIT_TIMEOUT, 2 s give or take 1 (RP002 section 2.1)
_RETRANSMIT_SPAN_MS = const(2000)
_COPY_WAIT_MAX_MS = const(60000)  # a copy that the duty cycle holds back for longer is old news
_EXCHANGE_MS = const(30000)  # the longest frame, RX1 after 15 s, RX2
_RADIO_FAULTS = const(5)  # in a row; then the node has to start again


def open_link(config) -> "LoraLink":
    """Return the link on the radio of this board."""
    options = config.board.get("lorawan", {})
    return LoraLink(open_radio(config.board), Layer(options), options.get("window_error_us", _WINDOW_ERROR_US))


def _class_c():
    from firmware.node.links import lora_class_c

    return lora_class_c


class LoraLink:
    """*window_error_us*: how far off the nominal moment a preamble may begin.

    ``late_windows`` counts those that opened too late to be sure, ``faults`` what the radio did not do.
    """

    reply_timeout_ms = _REPLY_TIMEOUT_MS
    rejoin_after = _REJOIN_AFTER

    def __init__(self, radio, layer: Layer, window_error_us: int = _WINDOW_ERROR_US) -> None:
        self.layer = layer
        self.on_heard = None
        self.unsent = 0
        self.windows = 0
        self.late_windows = 0
        self.faults = 0
        self.in_exchange = False  # it sends, or waits for a window to open: nothing else may hold the processor
        self.radio = radio
        self.window_error_us = window_error_us
        self._network: "Any" = None
        self._ready = False
        self._sending = False
        self._faults_in_row = 0
        self.listener = None  # type: asyncio.Task | None
        self._never = asyncio.Event()

    def attach(self, network) -> None:
        """Take what ``deliver``, ``left`` and ``alive`` are called on."""
        self._network = network

    def may_sleep(self) -> bool:
        """Tell whether the processor may sleep: no frame is on its way, and nobody listens."""
        return not self._sending and not self.listens()

    @property
    def works(self) -> bool:
        """Whether the radio did what it was told the last time."""
        return self._faults_in_row == 0

    @property
    def max_payload(self) -> int:
        """Application bytes that one frame may carry now, FOpts included; depends on the data rate."""
        return self.layer.max_payload

    async def receive(self) -> bytes:
        """Never returns: what comes is handed on while the radio still knows when it came."""
        self._listen_in_background()
        await self._never.wait()
        return b""

    async def send(self, phy: bytes) -> None:
        """Send a frame as often as ADR wants it, until it is answered, and listen after each copy."""
        kind = phy[0] >> 5
        joining = kind == JOIN_REQUEST
        enough = ACK if kind == CONFIRMED_UP else OURS
        self._sending = True
        await self._stop_listening()
        try:
            await self.make_ready()
            if self.layer.wants_carrier():
                with borrowed("lorawan.carrier") as carrier:
                    await carrier.send(self.radio, self.layer, self._network.alive)
            for copy in range(1 if joining else self.layer.engine.nb_trans):
                if copy:
                    await self._rest(_RETRANSMIT_MIN_MS + below(_RETRANSMIT_SPAN_MS))
                sending = await self._clear_to_send(len(phy), joining)
                if sending is None or await self._exchange(phy, sending, joining) >= enough:
                    break
                self.in_exchange = False
            self._faults_in_row = 0
        except RadioError as error:
            self.fault(error)
        finally:
            if joining:
                self.layer.join_sent()
            self._sending = self.in_exchange = False
            self._listen_in_background()

    async def _clear_to_send(self, length: int, joining: bool):
        """Wait for the duty cycle; return how to send, or None when it takes too long."""
        waited_ms = 0
        while True:
            sending = self.layer.transmission(length, joining)
            wait_ms = self.layer.wait_ms(sending, length)
            if wait_ms == 0:
                return sending
            waited_ms += wait_ms
            if waited_ms > _COPY_WAIT_MAX_MS:
                self.unsent += 1
                return None
            await self._rest(wait_ms)

    async def _exchange(self, phy: bytes, sending, joining: bool) -> int:
        """Send once, open the windows, return what was heard."""
        self._network.alive(_EXCHANGE_MS)
        self.in_exchange = True
        self.layer.spend(sending, len(phy), joining)
        sf, bw_hz, _ = region.DATA_RATES[sending.dr]
        end_us = await self.radio.transmit(sending.freq_hz, sf, bw_hz, sending.power_dbm, phy)
        self._network.left(self._monotonic_ms(end_us))
        gc.collect()  # now, and not while a window opens
        rx1_us = time.ticks_add(end_us, sending.delay_ms * 1000)
        rx2_us = time.ticks_add(rx1_us, region.WINDOW_GAP_MS * 1000)
        if self.listens(joining):
            await _class_c().listen_until(self, time.ticks_add(rx1_us, -_WINDOW_LEAD_US))
        heard = await self._window(rx1_us, sending.rx1)
        if heard == NOT_OURS and self.listens(joining):
            return await _class_c().rx2(self, rx2_us, sending.rx2)
        return heard if heard else await self._window(rx2_us, sending.rx2)

    async def _window(self, nominal_us, where: tuple[int, int]) -> int:
        """Open one window and hand on what it brings. All is set up before its moment."""
        freq_hz, dr = where
        sf, bw_hz, _ = region.DATA_RATES[dr]
        symbols, offset_us = receive_window(sf, bw_hz, self.window_error_us, 0)
        self.radio.prepare_receive(freq_hz, sf, bw_hz, symbols)
        self.windows += 1
        at_us = time.ticks_add(nominal_us, offset_us)
        if time.ticks_diff(time.ticks_us(), nominal_us) > self.window_error_us:
            self._late(time.ticks_diff(time.ticks_us(), at_us))  # too late to hear anything: do not try
            return NOT_OURS
        frame = await self.radio.receive(at_us)
        if self.radio.late_us > self.window_error_us:
            self._late(self.radio.late_us)
        return self.hand_on(frame, False)

    def hand_on(self, frame, class_c: bool) -> int:
        """Give the network what was received, None for nothing; return what it was: NOT_OURS, OURS, ACK."""
        if frame is None or not frame.crc_ok:
            return NOT_OURS
        snr_db = int(frame.snr_db) if frame.snr_db >= 0 else -int(-frame.snr_db)
        return self._network.deliver(frame.data, snr_db, class_c)

    def listens(self, joining: bool = False) -> bool:
        """Tell whether this is a class C board in a session: between windows it listens too."""
        return self.layer.device_class == CLASS_C and not joining and self.layer.has_session()

    async def _rest(self, ms: int) -> None:
        """Wait between copies; a class C board listens meanwhile."""
        self._network.alive(ms)
        if self.listens():
            await _class_c().listen_until(self, time.ticks_add(time.ticks_us(), ms * 1000))
        else:
            await asyncio.sleep_ms(ms)

    def _listen_in_background(self) -> None:
        if self._sending:
            return
        if self.listens() and self.listener is None and self._network is not None:
            self.listener = asyncio.create_task(_class_c().listen(self))
        elif self._ready and not self.listens():
            try:
                self.radio.sleep()
            except RadioError as error:
                self.fault(error, False)

    async def _stop_listening(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.cancel()
            try:
                await listener
            except asyncio.CancelledError:
                pass

    async def make_ready(self) -> None:
        """Set the radio up if that has not been done, or it has failed since. Raises RadioError."""
        if not self._ready:
            await self.radio.init()
            self._ready = True

    def fault(self, error: RadioError, sending: bool = True) -> None:
        """Count it and set the radio up anew next time; when that does not help, let the node start again."""
        self.faults += 1
        self.unsent += sending
        self._faults_in_row += 1
        self._ready = False
        log_error("lora", error)
        if sending and self._faults_in_row >= _RADIO_FAULTS:
            self._faults_in_row = 0
            raise error

    def _late(self, late_us: int) -> None:
        self.late_windows += 1
        log("lora", "window %d us late; %d of %d were" % (late_us, self.late_windows, self.windows))

    def _monotonic_ms(self, at_us) -> int:
        return self.layer.now_ms() - time.ticks_diff(time.ticks_us(), at_us) // 1000
