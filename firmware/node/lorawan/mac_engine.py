# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC requests -> changed parameters and answers (TS001 section 5, RP002 section 2.4). Pure: no I/O, no time.

Answers wait in ``answers``. Most go out once; those of RXParamSetup, RXTimingSetup and DlChannel go with every uplink
until a class A downlink shows that the network has heard one (TS001 sections 5.5, 5.8 and 5.10).
"""

from firmware.node.lorawan.channels import ChannelPlan, downlink_possible
from firmware.wire import macdevice, region
from firmware.wire.errors import Malformed
from firmware.wire.maccommands import (
    DEV_STATUS,
    DL_CHANNEL,
    DUTY_CYCLE,
    LINK_ADR,
    NEW_CHANNEL,
    RX_PARAM_SETUP,
    RX_TIMING_SETUP,
    parse,
)

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

_STICKY = (RX_PARAM_SETUP, RX_TIMING_SETUP, DL_CHANNEL)
_MASK_OK = 1
_DR_OK = 2
_POWER_OK = 4
_ALL_OK = 7
_MAX_PENDING = 222  # bytes of answers; more than one downlink can ask for is not kept


class MacEngine:
    """*min_dbm* is the least that the radio can radiate.

    ``battery``: the byte of DevStatusAns: 0 mains, 1 to 254 how full, 255 unknown.
    ``changed`` is set by whatever must outlive a reboot; its owner clears it.
    """

    def __init__(self, min_dbm: int = -9) -> None:
        self._min_dbm = min_dbm
        self.battery = 255
        self.adr_on = True
        self.plan = ChannelPlan()
        self.answers = []  # type: list[bytes]
        self.changed = False
        self.start(region.MIN_DR, 0, 1, b"")

    def start(self, dr: int, dl_settings: int, rx_delay: int, cf_list: bytes) -> None:
        """Begin a session with what its Join-Accept says; the CFList counts after the rest (TS001 section 6.2.6)."""
        self.plan = ChannelPlan()
        self.answers = []
        self.dr = dr
        self.tx_power = 0
        self.nb_trans = 1
        self.max_duty_cycle = 0
        self.rx2_hz = region.RX2_HZ
        offset, rx2_dr = macdevice.dl_settings(dl_settings)
        self.rx1_offset = min(offset, region.MAX_RX1_DR_OFFSET)
        self.rx2_dr = rx2_dr if rx2_dr <= region.MAX_DR else region.RX2_DR
        self.rx_delay_s = macdevice.rx_delay_s(rx_delay)
        self.plan.apply_cf_list(cf_list)
        self.changed = True

    def take_in(self, commands: bytes, snr_db: int) -> None:
        """Obey the requests of one class A downlink; call it for every such downlink, even one without commands."""
        if self.answers:
            self.answers = []  # what was repeated until now has been heard
            self.changed = True
        try:
            requests = parse(commands, False)
        except Malformed:
            return  # half a request: nobody knows what it should have been
        i = 0
        while i < len(requests):
            cid, payload = requests[i]
            i += 1
            if cid == LINK_ADR:
                block = [payload]
                while i < len(requests) and requests[i][0] == LINK_ADR:
                    block.append(requests[i][1])
                    i += 1
                status = self._link_adr(block)
                for _ in block:
                    self._answer(macdevice.answer(LINK_ADR, status))
            else:
                self._obey(cid, payload, snr_db)

    def pending(self, limit: int) -> bytes:
        """Return as many answers as fit *limit* bytes, the oldest first, none of them cut."""
        out = b""
        for answer in self.answers:
            if len(out) + len(answer) > limit:
                break
            out += answer
        return out

    def pending_len(self) -> int:
        """Return how many bytes all answers have together."""
        return sum([len(answer) for answer in self.answers])

    def sent(self) -> None:
        """The answers went out with an uplink: only those stay that are to be repeated."""
        self.answers = [answer for answer in self.answers if answer[0] in _STICKY]

    def state(self) -> list[object]:
        """Return what ``restore`` takes, a flat list of CBOR values."""
        sticky = b"".join([answer for answer in self.answers if answer[0] in _STICKY])
        values = [self.dr, self.tx_power, self.nb_trans, self.max_duty_cycle]
        return values + [self.rx1_offset, self.rx2_dr, self.rx2_hz, self.rx_delay_s, sticky] + self.plan.state()

    def restore(self, state) -> None:
        """Take over a ``state``. Raises ValueError, TypeError, IndexError for one that was never made."""
        self.dr, self.tx_power, self.nb_trans, self.max_duty_cycle = state[:4]
        self.rx1_offset, self.rx2_dr, self.rx2_hz, self.rx_delay_s = state[4:8]
        self.plan.restore(state[9:])
        self.dr = self.plan.best_dr(self.dr)
        self.answers = [bytes([cid]) + payload for cid, payload in parse(state[8], True)]

    def _answer(self, answer: bytes) -> None:
        if self.pending_len() + len(answer) <= _MAX_PENDING:
            self.answers.append(answer)

    def _obey(self, cid: int, payload: bytes, snr_db: int) -> None:
        """Obey one request. TxParamSetup is not for EU868 and gets no answer (RP002 section 2.4.3)."""
        if cid == DUTY_CYCLE:
            self._set("max_duty_cycle", macdevice.max_duty_cycle(payload))
            self._answer(bytes([cid]))
        elif cid == RX_PARAM_SETUP:
            self._answer(macdevice.answer(cid, self._rx_param_setup(payload)))
        elif cid == DEV_STATUS:
            self._answer(macdevice.dev_status_ans(self.battery, snr_db))
        elif cid == NEW_CHANNEL:
            self._answer(macdevice.answer(cid, self.plan.new_channel(*macdevice.new_channel(payload))))
            self._plan_changed()
        elif cid == RX_TIMING_SETUP:
            self._set("rx_delay_s", macdevice.rx_delay_s(payload[0]))
            self._answer(bytes([cid]))
        elif cid == DL_CHANNEL:
            self._answer(macdevice.answer(cid, self.plan.dl_channel(*macdevice.dl_channel(payload))))
            self._plan_changed()

    def _set(self, name: str, value: int) -> None:
        setattr(self, name, value)
        self.changed = True

    def _plan_changed(self) -> None:
        self.dr = self.plan.best_dr(self.dr)
        self.changed = True

    def _rx_param_setup(self, payload: bytes) -> int:
        """All three or none (TS001 section 5.5)."""
        offset, rx2_dr, rx2_hz = macdevice.rx_param_setup(payload)
        status = 1 if downlink_possible(rx2_hz) else 0
        status |= 2 if rx2_dr <= region.MAX_DR else 0
        status |= 4 if offset <= region.MAX_RX1_DR_OFFSET else 0
        if status == _ALL_OK:
            self.rx1_offset, self.rx2_dr, self.rx2_hz = offset, rx2_dr, rx2_hz
            self.changed = True
        return status

    def _link_adr(self, block: list[bytes]) -> int:
        """Obey a block of LinkADRReq as one: all or nothing; rate, power and copies of the last (TS001 section 5.3)."""
        mask: "Any" = self.plan.mask  # None: asks for a channel that does not exist
        for payload in block:
            dr, power, chmask, control, nb_trans = macdevice.link_adr(payload)
            if mask is not None:
                mask = self.plan.masked(mask, control, chmask)
        if not self.adr_on:  # the device keeps its own values; only the mask is the network's
            dr, power, nb_trans = self.dr, self.tx_power, self.nb_trans
        dr = self.dr if dr == macdevice.KEEP else dr
        power = self.tx_power if power == macdevice.KEEP else power
        status = _MASK_OK if mask else 0
        if dr <= region.MAX_DR and self.plan.enabled(dr, mask or self.plan.mask):
            status |= _DR_OK
        if power <= region.MAX_TX_POWER and region.eirp_dbm(power) >= self._min_dbm:
            status |= _POWER_OK  # more than the radio can is fine: it sends what it can
        if status == _ALL_OK:
            self.plan.mask = mask
            self.dr, self.tx_power, self.nb_trans = dr, power, nb_trans or 1
            self.changed = True
        return status
