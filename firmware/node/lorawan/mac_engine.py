# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The parameters that the network has set, and the answers that wait. What it asks, ``mac_requests`` obeys. Pure.

Answers wait in ``answers``. Most go out once; those of RXParamSetup, RXTimingSetup and DlChannel go with every uplink
until a class A downlink shows that the network has heard one (TS001 sections 5.5, 5.8 and 5.10).
"""

from firmware.node.lazy import borrowed
from firmware.node.lorawan.channels import ChannelPlan
from firmware.wire import region
from firmware.wire.errors import Malformed
from firmware.wire.maccommands import DEVICE_TIME, DL_CHANNEL, LINK_CHECK, RX_PARAM_SETUP, RX_TIMING_SETUP, parse

_STICKY = (RX_PARAM_SETUP, RX_TIMING_SETUP, DL_CHANNEL)
_NO_REQUESTS = (DEVICE_TIME, LINK_CHECK)  # answers to what the device itself has asked


class MacEngine:
    """*min_dbm* is the least that the radio can radiate.

    ``battery``: the byte of DevStatusAns: 0 mains, 1 to 254 how full, 255 unknown.
    ``changed`` is set by whatever must outlive a reboot; its owner clears it.
    """

    def __init__(self, min_dbm: int = -9) -> None:
        self.min_dbm = min_dbm
        self.battery = 255
        self.adr_on = True
        self.answers = []  # type: list[bytes]
        self._begin(region.MIN_DR)

    def start(self, dr: int, dl_settings: int, rx_delay: int, cf_list: bytes) -> None:
        """Begin a session with what its Join-Accept says."""
        self._begin(dr)
        with self._requests() as requests:
            requests.obey_join_accept(self, dl_settings, rx_delay, cf_list)

    def take_in(self, commands: bytes, snr_db: int) -> None:
        """Obey the requests of one class A downlink; call it for every such downlink, even one without commands."""
        if self.answers:
            self.answers = []  # what was repeated until now has been heard
            self.changed = True
        try:
            asked = [each for each in parse(commands, False) if each[0] not in _NO_REQUESTS]
        except Malformed:
            return  # half a request: nobody knows what it should have been
        if asked:
            with self._requests() as requests:
                requests.obey(self, asked, snr_db)

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

    def _begin(self, dr: int) -> None:
        self.plan = ChannelPlan()
        self.answers = []
        self.dr = dr
        self.tx_power = 0
        self.nb_trans = 1
        self.max_duty_cycle = 0
        self.rx1_offset = 0
        self.rx2_dr = region.RX2_DR
        self.rx2_hz = region.RX2_HZ
        self.rx_delay_s = 1
        self.changed = True

    def _requests(self) -> borrowed:
        return borrowed("lorawan.mac_requests", "wire.macdevice")
