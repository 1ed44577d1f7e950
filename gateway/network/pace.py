# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How fast a gateway sends to devices that always listen: not faster than it can hear their answers. Pure.

A gateway does not hear while it sends. A command for a thousand lamps, sent without pauses, is obeyed by all of them
and answered into deaf ears; then each is asked again. So the gateway that sent a frame to be confirmed listens as long
as the answer takes, at the data rate of that device, before it sends the next one. Meanwhile another gateway may send,
but not at the same moment as one that reaches the same device: all use the one channel of RX2, and a lamp between them
would hear neither. Who reaches a device is known from who heard it last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.wire.airtime import time_on_air_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.links import Uplink
    from gateway.network.scheduler import Opportunity

_REACTION_S = 0.25
"""From the end of the frame to the beginning of its answer: a board decrypts, obeys and turns its radio around."""
_APART_S = 0.06
"""Frames of two gateways reach them by ways of different length."""
_ANSWER_BYTES = 24
"""Of a frame that confirms and says "done"."""
_SLOWEST = (12, 125_000)


class Pace:
    """All gateways'. Moments are seconds of the daemon's monotonic clock."""

    def __init__(self) -> None:
        self._hears_until_s: dict[str, float] = {}
        self._sends: dict[str, tuple[float, frozenset[str] | None]] = {}
        """By gateway: until when its last frame goes, and who else reaches that device; None: perhaps everybody."""

    def may(self, ways: Sequence[Opportunity], answers: Uplink | None, now_s: float) -> bool:
        """Tell whether a frame may go now by the first of *ways*. A line has no pauses.

        *answers*: the device's last uplink, None where it was not heard yet.
        """
        way = ways[0]
        if way.when is None:
            return True
        if now_s < self._hears_until_s.get(way.address, now_s):
            return False
        reached_by = _reached_by(answers)
        return not any(
            now_s < until_s and (_within(name, reached_by) or _within(way.address, others))
            for name, (until_s, others) in self._sends.items()
        )

    def sends(self, way: Opportunity, size: int, answers: Uplink | None, now_s: float) -> None:
        """A frame of *size* bytes goes; *answers* as above."""
        if way.when is None:
            return
        radio = None if answers is None else answers.radio
        sf, bw_hz = _SLOWEST if radio is None else (radio.sf, radio.bw_hz)
        sent_s = now_s + way.airtime_us(size) / 1_000_000
        self._sends[way.address] = sent_s + _APART_S, _reached_by(answers)
        answer_s = time_on_air_us(sf, bw_hz, _ANSWER_BYTES) / 1_000_000
        self._hears_until_s[way.address] = sent_s + _REACTION_S + answer_s

    def wait_s(self, now_s: float, at_most_s: float) -> float:
        """Return how long until the next gateway may send again, *at_most_s* at most."""
        ends = [*(until_s for until_s, _ in self._sends.values()), *self._hears_until_s.values()]
        ahead = [until_s - now_s for until_s in ends if until_s > now_s]
        return min([at_most_s, *ahead])


def _reached_by(answers: Uplink | None) -> frozenset[str] | None:
    return None if answers is None else frozenset(each.address for each in (answers, *answers.others))


def _within(gateway: str, reached_by: frozenset[str] | None) -> bool:
    return reached_by is None or gateway in reached_by
