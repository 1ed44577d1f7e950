# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A network for one device, small enough to see through; runs under MicroPython and under CPython."""

import sys

from firmware.wire import frame, joining, maccommands, readings, requests
from firmware.wire.crypto import derive_session_keys
from firmware.wire.errors import NotAuthentic, WireError
from firmware.wire.session import Session

if sys.implementation.name == "micropython":
    from cryptolib import aes

    def ecb(key):
        return aes(key, 1).encrypt

    def ecb_decrypt(key):
        return aes(key, 1).decrypt

else:
    from gateway.network.aes import ecb, ecb_decrypt

KEY = b"0123456789abcdef"
UNIX_MS = 1800000000000


def _content(item):
    """A reading without its time, which may be told in another way the next time."""
    return {key: item[key] for key in item if key not in (readings.KEY_TIME, readings.KEY_AGE)}


class Server:
    """One device's network: joins, a session, what it received, and receipts. Knobs say what it leaves out."""

    def __init__(self):
        self.join_nonce = 0
        self.session = None
        self.pending = None  # joined, but not used yet: the Join-Accept may be lost, and then the old session goes on
        self.joins = []  # DevNonces
        self.readings = {}  # seq: map
        self.conflicts = []
        self.fcnts = []  # (number of the session, fcnt)
        self.refused = 0
        self.base = 0
        self.links_checked = 0
        self.acks = 0
        self.receipts = True
        self.times = True
        self.confirm = False
        self.deaf = False
        self.data_rate = None  # what ADR asks for, until the device obeys; None: the one of its choice
        self.alarms = []  # (sequence numbers, whether confirmed) of each frame on the port of alarms
        self.answers = []  # (FPort, map) of what came on other ports than readings

    def uplink(self, phy):
        """Take a frame and return what goes down."""
        if self.deaf:
            return []
        try:
            if frame.mtype(phy) == frame.JOIN_REQUEST:
                return [self._join(phy)]
            received = self._open(phy)
        except WireError:
            self.refused += 1
            return []
        self.fcnts.append((self.session.dev_addr, received.fcnt))
        self.acks += received.ack
        return self._answer(received)

    def _open(self, phy):
        if self.pending is not None:
            try:
                received = self.pending.open_uplink(phy)
            except WireError:
                pass
            else:
                self.session, self.pending = self.pending, None
                return received
        if self.session is None:
            raise NotAuthentic("no session")
        return self.session.open_uplink(phy)

    def _join(self, phy):
        joining.check_join_request(ecb(KEY), phy)
        request = joining.decode_join_request(phy)
        if self.joins and request.dev_nonce <= self.joins[-1]:
            raise WireError("DevNonce used before")
        self.joins.append(request.dev_nonce)
        self.join_nonce += 1
        address = 0x26000000 + self.join_nonce
        keys = derive_session_keys(ecb(KEY), self.join_nonce, 1, request.dev_nonce)
        self.pending = Session(ecb, address, keys[0], keys[1])
        return joining.encode_join_accept(ecb(KEY), ecb_decrypt(KEY), self.join_nonce, 1, address)

    def _mac_answers(self, received):
        """Return the MAC commands that answer those of an uplink, and what ADR asks for."""
        fopts = b""
        for cid, _ in maccommands.parse(received.fopts, True):
            if cid == maccommands.DEVICE_TIME and self.times:
                fopts += maccommands.device_time_ans(UNIX_MS)
            elif cid == maccommands.LINK_CHECK:
                self.links_checked += 1
                fopts += maccommands.link_check_ans(20, 1)
            elif cid == maccommands.LINK_ADR:
                self.data_rate = None
        if self.data_rate is not None:
            from firmware.wire.macnetwork import link_adr_req

            fopts += link_adr_req(self.data_rate, 0, 0x0007)
        return fopts

    def _answer(self, received):
        fopts = self._mac_answers(received)
        receipt = None
        if received.fport in (readings.FPORT_READINGS, readings.FPORT_ALARMS):
            items, oldest = readings.unpack_payload(received.payload)
            for item in items:
                self._keep(item)
            if received.fport == readings.FPORT_ALARMS:
                self.alarms.append(([item[0] for item in items], received.confirmed))
            if oldest is not None and self.receipts:
                receipt = self._receipt(oldest)
        elif received.fport:
            self._answered(received.fport, received.payload)
        if receipt is None and not fopts and not received.confirmed:
            return []
        port = None if receipt is None else readings.FPORT_RECEIPTS
        ack = received.confirmed
        return [self.session.seal_downlink(port, receipt or b"", confirmed=self.confirm, ack=ack, fopts=fopts)]

    def _answered(self, fport, payload):
        if fport == readings.FPORT_UPDATE:
            self.answers.append((fport, payload))
        elif fport in (readings.FPORT_COMMANDS, readings.FPORT_SETTINGS):
            self.answers.append((fport, requests.decode(payload)))

    def ask(self, fport, payload):
        """Return the frame that brings a request to the device."""
        return self.session.seal_downlink(fport, payload)

    def _keep(self, item):
        seq = item[0]
        old = self.readings.get(seq)
        if old is not None and _content(old) != _content(item):
            self.conflicts.append((old, item))
        self.readings.setdefault(seq, item)

    def _receipt(self, oldest):
        self.base = max(self.base, oldest - 1)
        while self.base + 1 in self.readings:
            self.base += 1
        return readings.encode_receipt(self.base, [seq for seq in self.readings if seq > self.base])
