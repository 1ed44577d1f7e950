# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The proof through a gateway: a board that left the cable is heard by the gateway, joined and with a reading.

Over the cable a board proves its key and its parts; its radio, its antenna and its channel it proves here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provisioning.bench import gateway_status
from provisioning.bench.errors import NoGateway, ProofFailed
from provisioning.bench.gateway_status import Sighting

HEARD_S: Final = 180.0
_LOOK_S: Final = 1.0


@dataclass(frozen=True)
class Heard:
    """What the gateway heard, as it goes into the signed record."""

    link: str
    seq: int
    sf: int | None
    rssi_dbm: float | None
    snr_db: float | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        return {key: value for key, value in vars(self).items() if value is not None}


def before(gateway: Path, dev_eui: bytes) -> Sighting | None:
    """What the gateway knows of a device now. Raises NoGateway: asked before anything is done to the board."""
    return _of(gateway_status.sightings(gateway), dev_eui)


def wait(
    gateway: Path,
    dev_eui: bytes,
    known: Sighting | None,
    link: str,
    timeout_s: float = HEARD_S,
    *,
    pause: Callable[[float], None] = time.sleep,
    now_s: Callable[[], float] = time.monotonic,
) -> Heard:
    """Return when the gateway has a frame of the device with a reading that it did not have. ProofFailed with why."""
    begun_s = now_s()
    last: Sighting | None = None
    while (waited_s := now_s() - begun_s) < timeout_s:
        try:
            last = _last(gateway, dev_eui)
        except NoGateway:  # it restarts; at the end it counts
            if waited_s + _LOOK_S >= timeout_s:
                raise
        if last is not None and last.seq is not None and _is_new(last, known):
            return Heard(last.link, last.seq, last.sf, last.rssi_dbm, last.snr_db, round(waited_s, 1))
        pause(_LOOK_S)
    raise _missed(last if last is not None and _is_new(last, known) else None, dev_eui, link, timeout_s)


def _last(gateway: Path, dev_eui: bytes) -> Sighting | None:
    """What the worker that has a device knows of it; another may be away meanwhile. Raises NoGateway."""
    found, away = gateway_status.look(gateway)
    device = _of(found, dev_eui)
    if device is None and away:
        raise away[0]
    return device


def _of(found: list[Sighting], dev_eui: bytes) -> Sighting | None:
    return next((each for each in found if each.dev_eui == dev_eui.hex()), None)


def _is_new(last: Sighting, known: Sighting | None) -> bool:
    return known is None or last.heard_at > known.heard_at


def _missed(last: Sighting | None, dev_eui: bytes, link: str, timeout_s: float) -> ProofFailed:
    if last is None:
        return ProofFailed(
            "The gateway has heard nothing of the board.",
            value=f"{dev_eui.hex()} over {link}, in {timeout_s:g} s",
            reason="No antenna, another antenna's socket, too far away, or the gateway does not know it yet.",
            next_step="look at its antenna and at: lykta-gateway quarantine; then give the same command again",
        )
    return ProofFailed(
        "The board has joined, and no reading of it has come.",
        value=f"{dev_eui.hex()} over {last.link}, {last.frames} frames",
        reason="Its answers do not reach it, or its interval is longer than the wait.",
        next_step="lykta monitor shows its frames; a longer --heard-s waits longer",
    )
