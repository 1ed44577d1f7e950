# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A network that does what a test tells it: any downlink, in any window, with any MAC commands.

It hears one device, through ``SemtechEnd``. A test takes the device's frames one by one with ``next`` and may answer
each; ``exchange`` is both. Receipts for readings and the time, which devices of ours ask for, go with an answer by
themselves.
"""

import queue
import time
from dataclasses import dataclass
from typing import Any

from firmware.wire import frame, joining, macnetwork, readings, region
from firmware.wire.airtime import time_on_air_us
from firmware.wire.crypto import derive_session_keys
from firmware.wire.errors import NotAuthentic, WireError
from firmware.wire.maccommands import DEVICE_TIME, LINK_CHECK, device_time_ans, link_check_ans, parse
from firmware.wire.session import Received, Session
from gateway.network.aes import ecb, ecb_decrypt
from hil_tests.rigs import Rig
from hil_tests.semtech_end import Uplink

FRESH_S = 0.35  # an uplink that waited longer is not answered any more: RX1 must be met
UPLINK_WAIT_S = 120
TRIES = 3  # of what a test begins with, and is not about
NET_ID = 0x000001
FASTEST = 5  # DR5: SF7 at 125 kHz
ALL_OK = 7
_TMST = 0xFFFFFFFF


@dataclass(frozen=True)
class Heard:
    """One frame of the device. *join* or *received*, or neither for one more copy of the frame before."""

    uplink: Uplink
    join: joining.JoinRequest | None = None
    received: Received | None = None

    @property
    def dr(self) -> int:
        """Its data rate."""
        dr = region.dr_of(self.uplink.sf, self.uplink.bw_hz)
        if dr is None:
            raise AssertionError(f"SF{self.uplink.sf} at {self.uplink.bw_hz} Hz is no data rate of EU868")
        return dr

    @property
    def data(self) -> Received:
        """The data frame that it is."""
        if self.received is None:
            raise AssertionError(f"no data frame: {self.uplink}")
        return self.received

    def commands(self) -> list[tuple[int, bytes]]:
        """Its MAC commands without LinkCheckReq and DeviceTimeReq, which a device may send whenever it likes."""
        raw = self.data.payload if self.data.fport == 0 else self.data.fopts
        return [item for item in parse(raw, True) if item[0] not in (LINK_CHECK, DEVICE_TIME)]


class Network:
    """*rig* is the device and the forwarder; windows and channels are followed as the tests change them."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.session: Session | None = None
        self.dev_nonces: list[int] = []
        self.rx1_delay_s = 1
        self.rx1_offset = 0
        self.rx2_dr = region.RX2_DR
        self.rx2_hz = region.RX2_HZ
        self.rx1_hz: dict[int, int] = {}  # frequency of the uplink: of its RX1, where another was set
        self.last: Heard | None = None
        self.air_s = 0.0
        """Air time of the device, of which it has little in an hour."""
        self._pending: Session | None = None

    # What comes from the device

    def next(self, timeout_s: float = UPLINK_WAIT_S, copies: bool = False) -> Heard:
        """Return the device's next frame, as it comes; AssertionError when none comes in time."""
        now_s = self.rig.semtech.clock.now_s
        end_s = now_s() + timeout_s
        while (left_s := end_s - now_s()) > 0:
            try:
                uplink = self.rig.semtech.next(left_s)
            except queue.Empty:
                break
            self.air_s += time_on_air_us(uplink.sf, uplink.bw_hz, len(uplink.phy)) / 1e6
            heard = self._ours(uplink)
            if heard is not None and (copies or heard.join or heard.received):
                self.last = heard
                return heard
        raise AssertionError(f"the device sent nothing within {timeout_s} s; its console: {self.rig.console()}")

    def fresh(self, timeout_s: float = UPLINK_WAIT_S) -> Heard:
        """Return the next frame that can still be answered in its windows."""
        while True:
            heard = self.next(timeout_s)
            if self.rig.semtech.clock.now_s() - heard.uplink.at_s < FRESH_S:
                return heard

    def next_data(self, timeout_s: float = UPLINK_WAIT_S) -> Heard:
        """Return the next data frame that can still be answered; a join in between is a failure."""
        heard = self.fresh(timeout_s)
        if heard.received is None:
            raise AssertionError("the device joins again instead of going on with its session")
        return heard

    def next_join(self, timeout_s: float = UPLINK_WAIT_S) -> Heard:
        """Return the next Join-Request that can still be answered; data frames before it are passed over."""
        while True:
            heard = self.fresh(timeout_s)
            if heard.join is not None:
                return heard

    def silent_for(self, seconds: float) -> bool:
        """Tell whether nothing comes for so long."""
        try:
            self.next(seconds)
        except AssertionError:
            return True
        return False

    def _ours(self, uplink: Uplink) -> Heard | None:
        try:
            if frame.mtype(uplink.phy) == frame.JOIN_REQUEST:
                return self._join_request(uplink)
            for session in (self._pending, self.session):
                received = None if session is None else self._open(session, uplink.phy)
                if received is not None:
                    self.session, self._pending = session, None
                    return Heard(uplink, received=received)
            last = None if self.last is None else self.last.uplink.phy
            return Heard(uplink) if uplink.phy == last else None
        except WireError:
            return None

    def _open(self, session: Session, phy: bytes) -> Received | None:
        try:
            return session.open_uplink(phy)
        except WireError:
            return None

    def _join_request(self, uplink: Uplink) -> Heard | None:
        request = joining.decode_join_request(uplink.phy)
        identity = self.rig.identity
        if (request.dev_eui, request.join_eui) != (identity.dev_eui, identity.join_eui):
            return None
        try:
            joining.check_join_request(ecb(identity.app_key), uplink.phy)
        except NotAuthentic as error:
            raise AssertionError(f"{error}: the rig's key is not the device's") from error
        self.dev_nonces.append(request.dev_nonce)
        return Heard(uplink, join=request)

    # What goes to the device

    def send(self, phy: bytes, heard: Heard, window: int, **changes: Any) -> None:
        """Have *phy* sent in a window of *heard*; *changes* (delay_s, freq_hz, dr) put it elsewhere."""
        joining = heard.join is not None
        first_s = region.JOIN_ACCEPT_DELAY1_MS // 1000 if joining else self.rx1_delay_s
        where = {"delay_s": first_s, "freq_hz": heard.uplink.freq_hz, "dr": heard.dr}
        if not joining:
            where["freq_hz"] = self.rx1_hz.get(heard.uplink.freq_hz, heard.uplink.freq_hz)
            where["dr"] = region.rx1_dr(heard.dr, self.rx1_offset)
        if window == 2:
            rx2 = (region.RX2_HZ, region.RX2_DR) if joining else (self.rx2_hz, self.rx2_dr)
            where = {"delay_s": first_s + 1, "freq_hz": rx2[0], "dr": rx2[1]}
        where |= changes
        sf, bw_hz, _ = region.DATA_RATES[where["dr"]]
        tmst = (heard.uplink.tmst + round(where["delay_s"] * 1e6)) & _TMST
        outcome = self.rig.semtech.send(phy, tmst=tmst, freq=where["freq_hz"] / 1e6, datr=f"SF{sf}BW{bw_hz // 1000}")
        if outcome != "NONE":
            raise AssertionError(f"the packet forwarder refused a downlink in window {window}: {outcome}")

    def answer(
        self,
        heard: Heard,
        window: int = 1,
        fopts: bytes = b"",
        fport: int | None = None,
        payload: bytes = b"",
        **flags: bool,
    ) -> bytes:
        """Answer a data frame and return the PHYPayload. *flags*: confirmed, ack, f_pending."""
        if self.session is None:
            raise AssertionError("there is no session to answer in")
        own = fport == 0
        extra = b"" if own else self._wanted(heard, 15 - len(fopts))
        if fport is None:
            fport, payload = _receipt(heard.data)
        if heard.uplink.phy[0] >> 5 == frame.CONFIRMED_UP:
            flags = {"ack": True} | flags
        phy = self.session.seal_downlink(fport, payload, fopts=fopts + extra, **flags)
        self.send(phy, heard, window)
        return phy

    def exchange(self, window: int = 1, **answer: Any) -> Heard:
        """Answer the next data frame and return it."""
        heard = self.next_data()
        self.answer(heard, window, **answer)
        return heard

    def tell(self, fport: int, payload: bytes) -> Heard:
        """Send this confirmed, and again where it was missed; return the frame that acknowledges it."""
        for _ in range(TRIES):
            self.exchange(fport=fport, payload=payload, confirmed=True)
            heard = self.next_data()
            if heard.data.ack:
                return heard
        raise AssertionError(f"the device acknowledged none of {TRIES} confirmed frames")

    def ask(self, commands: bytes, window: int = 1) -> list[tuple[int, bytes]]:
        """Send MAC commands in FOpts; return the MAC commands of the frame after, which is not answered yet."""
        self.exchange(window, fopts=commands)
        return self.next_data().commands()

    def _wanted(self, heard: Heard, room: int) -> bytes:
        asked = [cid for cid, _ in parse(heard.data.fopts, True)]
        out = b""
        if DEVICE_TIME in asked and room >= 6:
            out += device_time_ans(time.time_ns() // 1_000_000)
        if LINK_CHECK in asked and room - len(out) >= 3:
            out += link_check_ans(20, 1)
        return out

    # Joining

    def join_accept(self, heard: Heard, join_nonce: int | None = None, **fields: Any) -> bytes:
        """Return a Join-Accept for a request; *fields* are those of ``encode_join_accept``. Its session is expected."""
        if heard.join is None:
            raise AssertionError("no Join-Request")
        if join_nonce is None:
            join_nonce = self.rig.next_join_nonce()
        key = self.rig.identity.app_key
        dev_addr = 0x26000000 | join_nonce
        nwk_skey, app_skey = derive_session_keys(ecb(key), join_nonce, NET_ID, heard.join.dev_nonce)
        self._pending = Session(ecb, dev_addr, nwk_skey, app_skey)
        return joining.encode_join_accept(ecb(key), ecb_decrypt(key), join_nonce, NET_ID, dev_addr, **fields)

    def accept(self, heard: Heard, window: int = 1, **fields: Any) -> bytes:
        """Let the device of this Join-Request join: from here on the windows are what the Join-Accept says."""
        phy = self.join_accept(heard, **fields)
        self.send(phy, heard, window)
        self.rx1_delay_s = fields.get("rx_delay", 0) or 1
        settings = fields.get("dl_settings", 0)
        self.rx1_offset, self.rx2_dr = settings >> 4 & 7, settings & 15
        self.rx2_hz, self.rx1_hz = region.RX2_HZ, {}
        return phy

    def join(self, window: int = 1, **fields: Any) -> Heard:
        """Let the device join; return its Join-Request."""
        heard = self.next_join()
        self.accept(heard, window, **fields)
        return heard

    def join_at(self, dr: int, **fields: Any) -> None:
        """Let the device join and send at this data rate; on a busy machine it may miss an answer, so ask again."""
        heard = self.next_join()
        for _ in range(TRIES):
            self.accept(heard, **fields)
            heard = self.fresh()
            if heard.join is None:
                break
        else:
            raise AssertionError(f"the device took none of {TRIES} Join-Accepts")
        self.go_at(dr, heard)

    def go_at(self, dr: int, heard: Heard | None = None) -> None:
        """Have a device that has joined send at this data rate, from the answer to *heard* or to its next frame on."""
        heard = heard or self.next_data()
        for _ in range(TRIES):
            self.answer(heard, fopts=macnetwork.link_adr_req(dr, 0, 0, 6))
            heard = self.next_data()
            if heard.dr == dr:
                self.answer(heard)
                return
        raise AssertionError(f"{TRIES} LinkADRReq to DR{dr}: sends at DR{heard.dr}, answers {heard.commands()}")


def _receipt(data: Received) -> tuple[int | None, bytes]:
    """Return (FPort, payload) of the receipt that the frame asks for, or of a frame without payload."""
    if data.fport != readings.FPORT_READINGS:
        return None, b""
    try:
        items, oldest = readings.unpack_payload(data.payload)
    except WireError:
        return None, b""  # another maker's device
    if oldest is None:
        return None, b""
    return readings.FPORT_RECEIPTS, readings.encode_receipt(max([oldest - 1, *[item[0] for item in items]]), [])
