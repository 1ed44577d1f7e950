# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The registered packet forwarders: where each one is, what it said last, which downlinks it has yet to answer for."""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any

from gateway.errors import LinkBusy, LinkError
from gateway.radio import TxOutcome

if TYPE_CHECKING:
    import asyncio

    from gateway.links.lora.addresses import Host, Network
    from gateway.links.lora.radio_json import Stat
    from gateway.links.lora.semtech import TxAck

MAX_PENDING = 32
"""Downlinks of one forwarder without an answer yet. Its own queue holds 32 (JIT_QUEUE_MAX) or fewer."""
DIPOLE_DBI = 2.15
_NEVER_S = float("-inf")


def reduction_db(antenna_dbi: float) -> int:
    """Return by how many whole decibels a gateway must stay below the limits, which are e.r.p.: that of a dipole."""
    return max(0, math.ceil(antenna_dbi - DIPOLE_DBI))


class Forwarder:
    """One registered gateway. The protocol has no authentication: its address is all there is to hold on to."""

    def __init__(self, eui: bytes, allow: tuple[Network, ...]) -> None:
        self.eui = eui
        self.name = eui.hex()
        self.reduce_db = 0
        """By how much less than the limit it is asked to send."""
        self.host: Host | None = None
        """Where it sends from."""
        self.sender: Any = None
        """The socket address of its last accepted datagram; None when what is allowed has changed since."""
        self.heard_at_s = _NEVER_S
        """Monotonic clock at its last accepted datagram."""
        self.pull_address: Any = None
        """Socket address of its last PULL_DATA: the only one that downlinks go to."""
        self.pulled_at_s = _NEVER_S
        self.stat: Stat | None = None
        self.stat_at: float | None = None
        """Wall clock at its last ``stat``, Unix seconds."""
        self.uplinks = 0
        self.allow = allow
        self._pending: dict[int, asyncio.Future[TxOutcome]] = {}

    @property
    def pending(self) -> int:
        """Downlinks without an answer yet."""
        return len(self._pending)

    def admit(self, host: Host, now_s: float, pin_s: float) -> str | None:
        """Accept a datagram from *host* as this gateway's, or return the reason why not.

        A gateway may move (a mobile network gives it a new address), but not while the old address still speaks.
        """
        if self.allow and not any(host in network for network in self.allow):
            return "address_not_allowed"
        if host is not self.host and host != self.host:  # an address compares itself slowly
            if now_s - self.heard_at_s < pin_s:
                return "address_pinned"
            self.host = host
            self.pull_address = None  # the way for downlinks is opened by a PULL_DATA from the new address
        self.heard_at_s = now_s
        return None

    def pulled(self, address: Any, now_s: float) -> bool:
        """Note where a PULL_DATA came from; True when that is a new address or port."""
        changed: bool = address != self.pull_address
        self.pull_address = address
        self.pulled_at_s = now_s
        return changed

    def status(self, now_s: float, away_s: float) -> dict[str, object]:
        """Return what the status page shows. Ages in seconds, None before the first time."""
        stat = self.stat
        return {
            "eui": self.eui.hex(),
            "host": None if self.host is None else str(self.host),
            "heard_s": _age(now_s, self.heard_at_s),
            "pulled_s": _age(now_s, self.pulled_at_s),
            "away": now_s - self.pulled_at_s > away_s,
            "uplinks": self.uplinks,
            "pending": len(self._pending),
            "latitude_deg": None if stat is None else stat.latitude_deg,
            "longitude_deg": None if stat is None else stat.longitude_deg,
            "temperature_c": None if stat is None else stat.temperature_c,
        }

    def expect(self, answer: asyncio.Future[TxOutcome]) -> int:
        """Return a fresh token under which *answer* waits. Raises LinkBusy."""
        if len(self._pending) >= MAX_PENDING:
            raise LinkBusy(f"gateway {self.eui.hex()} has not answered {MAX_PENDING} downlinks yet")
        while True:
            token = 1 + secrets.randbelow(0xFFFF)  # not 0, which version 1 of the protocol uses for "unused"
            if token not in self._pending:
                self._pending[token] = answer
                return token

    def forget(self, token: int) -> None:
        """Stop waiting."""
        self._pending.pop(token, None)

    def answer(self, ack: TxAck) -> bool:
        """Give *ack* to the downlink with its token; False when none of this gateway's waits for it."""
        waiting = self._pending.pop(ack.token, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(
            TxOutcome("refused" if ack.error else "sent", error=ack.error, warning=ack.warning, value=ack.value)
        )
        return True

    def give_up(self) -> None:
        """The socket is gone: nobody will answer."""
        self.pull_address = None
        while self._pending:
            _, waiting = self._pending.popitem()
            if not waiting.done():
                waiting.set_result(TxOutcome("no_answer"))

    def way_down(self, now_s: float, away_s: float) -> Any:
        """Return the socket address for downlinks. Raises LinkError."""
        if self.pull_address is None:
            raise LinkError(f"gateway {self.eui.hex()} has sent no PULL_DATA yet, so there is no way to it")
        silent_s = now_s - self.pulled_at_s
        if silent_s > away_s:
            raise LinkError(
                f"gateway {self.eui.hex()} has sent no PULL_DATA for {silent_s:.0f} s, so it counts as away"
            )
        return self.pull_address


def _age(now_s: float, at_s: float) -> float | None:
    return None if at_s == _NEVER_S else round(now_s - at_s, 1)
