# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A session in use, and what one frame was: a join, or data in clear."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from gateway.network import mac
from gateway.network.quick_session import QuickSession, of_parts
from gateway.quick_record import record

if TYPE_CHECKING:
    from firmware.wire.session import Received
    from gateway.links import Uplink
    from gateway.network.channels import ChannelPlan
    from gateway.network.profiles import Profile
    from gateway.network.radio_state import RadioState
    from gateway.network.sessions import StoredSession


class LiveSession:
    """A session in use: the wire's counters, and what is known to be on disk."""

    def __init__(self, stored: StoredSession, radio: RadioState, plan: ChannelPlan) -> None:
        self.row = stored.row
        self.join_nonce = stored.join_nonce
        self.mark = blake2b(stored.nwk_skey, digest_size=8, person=b"session").digest()
        """What tells it from all other sessions."""
        self.dev_eui = stored.dev_eui
        self.confirmed = stored.confirmed
        self.wire = QuickSession(stored.dev_addr, stored.nwk_skey, stored.app_skey, stored.fcnt_up, stored.fcnt_down)
        self.profiled: tuple[object, object, Profile] | None = None
        """The profile, and the record and options that it follows from."""
        self.reserved_down = stored.fcnt_down
        self.radio = radio
        self.radio_on_disk = replace(radio)
        self.mac = mac.MacState(plan, int.from_bytes(blake2b(stored.dev_eui, digest_size=4).digest()) / 2**32)
        self.plan_on_disk = plan.copy()
        self._last: Received | tuple[int, bool, int, int, bytes] | None = None
        self.last_uplink: Uplink | None = None
        self.repeats = 0
        self.taken = True
        """Whether all that the last frame brought is on disk; else its repetition brings it again."""
        self.receipt_asked = False
        """Whether the last frame asked for a receipt."""
        self.alarm = False
        """Whether the last frame was an alarm."""

    def received(self, fcnt: int, confirmed: bool, fctrl: int, fport: int, payload: bytes) -> None:
        """The last frame was this one, without FOpts; it is made into an object when somebody asks for ``last``."""
        self._last = fcnt, confirmed, fctrl, fport, payload

    @property
    def listens_always(self) -> bool:
        """Whether it is of class C, as far as its last uplink was judged."""
        return self.profiled is not None and self.profiled[2].class_c

    @property
    def last(self) -> Received | None:
        """The last frame."""
        if isinstance(self._last, tuple):
            self._last = of_parts(*self._last)
        return self._last

    @last.setter
    def last(self, received: Received | None) -> None:
        self._last = received


@dataclass(frozen=True, slots=True)
class Joined:
    """A device that is let in; *accept* goes back the way the request came."""

    uplink: Uplink
    dev_eui: bytes
    accept: bytes


@record
class Opened:
    """An authentic data frame, its payload in clear."""

    uplink: Uplink
    session: LiveSession
    kind: str
    profile: Profile
    fcnt: int
    """All 32 bits."""
    fport: int | None
    payload: bytes
    confirmed: bool
    mac_answers: bytes
    """MAC commands for the FOpts of the answer."""
    repeated: bool
    """The same frame came before: unless its payload was not taken then, only the answer may be missing."""
    adr_ack_req: bool = False
    """The device wants a sign of life, any downlink (TS001 section 4.3.1.1)."""
