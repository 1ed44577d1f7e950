# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who may speak at a socket of packet forwarders: a link asks here, and so does the front of several workers."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from gateway.links.lora import quick_turn, semtech
from gateway.links.lora.addresses import host, source
from gateway.links.lora.errors import MalformedDatagram, WrongLength
from gateway.links.lora.forwarders import Forwarder, reduction_db
from gateway.links.lora.rate import RateLimit
from gateway.operate.logs import Seldom

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.links.lora import Settings
    from gateway.links.lora.bulk import Datagram
    from gateway.operate.logs import EventLog

_EUI = slice(4, 12)
"""Where every datagram of a forwarder has the gateway's EUI (P section 3.2)."""


class Admission:
    """The forwarders of one socket. *count*: takes a name and how many of it."""

    def __init__(self, settings: Settings, log: EventLog, count: Callable[[str, int], None]) -> None:
        self._log = log
        self._count = count
        self._seldom = Seldom()
        self.forwarders: dict[bytes, Forwarder] = {}
        """The registered gateways by EUI."""
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Let in who is listed, as they were known before; forget all others."""
        self._settings = settings
        self._rate = RateLimit(settings.rate_per_s, settings.rate_burst)
        known, self.forwarders = self.forwarders, {}
        for gateway in settings.gateways:
            eui, allow = bytes.fromhex(gateway.eui), tuple(ip_network(text) for text in gateway.allow)
            forwarder = self.forwarders[eui] = known.pop(eui) if eui in known else Forwarder(eui, allow)
            forwarder.allow, forwarder.sender = allow, None
            forwarder.reduce_db = reduction_db(gateway.antenna_dbi)
        for gone in known.values():
            gone.give_up()

    def admit_all(self, came: list[Datagram], now_s: float) -> list[quick_turn.Heard] | None:
        """Return what is to be handled of a turn, and whose it is; None where each must be judged by itself."""
        return quick_turn.admitted(came, self.forwarders, self._rate, now_s, self.admit)

    def admit(self, datagram: Datagram, now_s: float) -> tuple[semtech.Header, Forwarder] | None:
        """Return the header of one datagram, and whose it is; None where nothing is done for it, which is counted.

        The rate counts for its gateway where it was heard from there before, else for its address: several forwarders
        may stand behind one address, and strangers too.
        """
        address = datagram.sender
        sender = host(address[0])
        forwarder = self.forwarders.get(datagram.data[_EUI])
        # The identity first: an address compares itself slowly.
        known = forwarder is not None and (forwarder.host is sender or forwarder.host == sender)
        if not self._rate.allow(datagram.data[_EUI] if known else source(address[0]), now_s):
            self.refuse("rate_limited", address)
            return None
        try:
            if datagram.truncated:
                raise WrongLength(f"more than {semtech.MAX_DATAGRAM_BYTES} bytes")
            header = semtech.read_header(datagram.data)
        except MalformedDatagram as refusal:
            self.refuse(refusal.reason, address, why=str(refusal))
            return None
        if forwarder is None:
            self.refuse("unknown_gateway", address, eui=header.gateway_eui.hex())
            return None
        refused = forwarder.admit(sender, now_s, self._settings.pin_s)
        if refused is not None:
            self.refuse(refused, address, eui=header.gateway_eui.hex(), pinned_to=str(forwarder.host))
            return None
        forwarder.sender = address
        return header, forwarder

    def refuse(self, reason: str, address: Any, **fields: object) -> None:
        """Count, and log one per reason and interval: the names in a datagram are the sender's choice, so no key."""
        self._count(reason, 1)
        held_back = self._seldom.allow(reason)
        if held_back is not None:
            name = self._settings.name
            self._log.warning(reason, link=name, sender=str(address[0]), held_back=held_back, **fields)
