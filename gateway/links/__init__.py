# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Links carry bytes: frames in, frames out. They know addresses, never keys, sessions or readings.

A link module defines ``Settings`` and ``build(settings, clock, counters) -> Link``; it is found by its file name.
One whose devices announce themselves has ``introduce(recognise)`` too: the daemon hands it the function that says which
announcements are registered devices', since that takes keys. One that is watched has ``watch(turned)`` and
``longest_turn_s`` (``gateway.turns``): while its loop does not go around, the watchdog gets no food.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.quick_record import record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.radio import RadioDownlink, Reception, TxOutcome


@record
class Uplink:
    """One PHYPayload as a link heard it."""

    link: str
    """Name of the link in the configuration."""
    address: str
    """Where an answer goes, in the link's own terms."""
    phy: bytes
    received_at: float
    """Wall clock at the end of the frame, Unix seconds."""
    radio: Reception | None = None
    """How it was heard, on links that are radio."""
    heard_at_s: float = 0.0
    """Monotonic clock when it arrived, as the link or else the daemon noted it; receive windows count from here."""
    others: tuple[Uplink, ...] = ()
    """The same frame as further gateways heard it, the best first."""

    def at(self, heard_at_s: float) -> Uplink:
        """Return it with the moment of its arrival. As dataclasses.replace, eight times as fast."""
        return Uplink(self.link, self.address, self.phy, self.received_at, self.radio, heard_at_s, self.others)


@dataclass(frozen=True, slots=True)
class Downlink:
    """One PHYPayload to send back the way an uplink came."""

    link: str
    address: str
    phy: bytes


if TYPE_CHECKING:
    Sink = Callable[[Uplink], None]
    Recognise = Callable[[bytes], Awaitable[str | None]]
    """From what a device announces to a name that is the same whenever that device does, or None for a stranger."""


class Link(Protocol):
    """What every link does."""

    name: str

    async def run(self, sink: Sink) -> None:
        """Hear frames until cancelled, whatever happens to the line. *sink* never blocks."""

    async def send(self, address: str, phy: bytes, when: RadioDownlink | None = None) -> TxOutcome | None:
        """Put a frame on the line, or on air as *when* says. Raises LinkError when that is not possible now.

        A radio link returns what became of it; a line has nothing to say.
        """
