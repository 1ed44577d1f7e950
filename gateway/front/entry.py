# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Who may speak at a port of the front: the same rules as at a LoRa link of one process."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from gateway.links.lora import quick_turn, semtech
from gateway.links.lora.addresses import host, source
from gateway.links.lora.errors import MalformedDatagram, WrongLength
from gateway.links.lora.forwarders import Forwarder
from gateway.links.lora.rate import RateLimit
from gateway.operate.logs import EventLog, Seldom

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.links.lora import Settings
    from gateway.links.lora.bulk import Datagram

_EUI = slice(4, 12)


class Entry:
    """The forwarders of one port. *count*: counts under a name."""

    def __init__(self, settings: Settings, count: Callable[[str, int], None]) -> None:
        self._settings = settings
        self._count = count
        self._log = EventLog("front")
        self._seldom = Seldom()
        self._rate = RateLimit(settings.rate_per_s, settings.rate_burst)
        self.forwarders = {
            bytes.fromhex(each.eui): Forwarder(bytes.fromhex(each.eui), tuple(ip_network(text) for text in each.allow))
            for each in settings.gateways
        }

    def usual(self, came: list[Datagram], now_s: float) -> list[quick_turn.Heard] | None:
        """Return whose each is, where all are PUSH_DATA from forwarders where they always are; else None."""
        return quick_turn.admitted(came, self.forwarders, self._rate, now_s)

    def admit(self, datagram: Datagram, now_s: float) -> tuple[semtech.Header, Forwarder] | None:
        """Return the header of one datagram, and whose it is; None where nothing is done for it."""
        address = datagram.sender
        sender = host(address[0])
        forwarder = self.forwarders.get(datagram.data[_EUI])
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
        """Count, and log one per reason and interval."""
        self._count(reason, 1)
        held_back = self._seldom.allow(reason)
        if held_back is not None:
            name = self._settings.name
            self._log.warning(reason, link=name, sender=str(address[0]), held_back=held_back, **fields)
