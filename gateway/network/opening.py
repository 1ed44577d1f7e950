# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is told and kept of a frame that was opened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.network import mac, scheduler
from gateway.network.live import Opened

if TYPE_CHECKING:
    from firmware.wire.session import Received
    from gateway.links import Uplink
    from gateway.network.live import LiveSession
    from gateway.network.profiles import Profile


def of_received(
    uplink: Uplink,
    session: LiveSession,
    kind: str,
    profiled: Profile,
    received: Received,
    fport: int | None,
    payload: bytes,
    *,
    repeated: bool,
) -> Opened:
    """Return a frame with the answers to what it asks in MAC commands. Raises wire Malformed."""
    answers = mac.answers(mac.commands_of(received), uplink) if mac.carried(received) else b""
    return Opened(
        uplink, session, kind, profiled, received.fcnt, fport, payload, received.confirmed, answers, repeated,
        received.adr_ack_req,
    )  # fmt: skip


def kept(uplink: Uplink) -> Uplink:
    """Return what a session remembers of an uplink: no more ways than would be tried."""
    if len(uplink.others) < scheduler.MAX_GATEWAYS:
        return uplink
    return replace(uplink, others=uplink.others[: scheduler.MAX_GATEWAYS - 1])
