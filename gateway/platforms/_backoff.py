# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pauses between tries that grow, with jitter, so that a thousand gateways do not come back in the same second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class BackOff:
    """Doubling pauses between *first_s* and *last_s*, each between half and all of its length."""

    def __init__(self, first_s: float, last_s: float, random: Random) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._random = random
        self._next_s = first_s

    def pause_s(self) -> float:
        """Return the next pause."""
        pause_s = self._next_s * self._random.uniform(0.5, 1.0)
        self._next_s = min(2 * self._next_s, self._last_s)
        return pause_s

    def reset(self) -> None:
        """It works again: the next failure starts with the short pause."""
        self._next_s = self._first_s
