# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A link says that its loop went around, whether or not anything came: silence is no fault, a loop that hangs is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_S = 5.0
"""While a link has nothing to do but to hear, it goes around so often."""


class Turns:
    """What links have that are watched; the daemon adds a stage for each, and restarts when one is stuck."""

    longest_turn_s = 60.0
    """How long one turn of the loop may take. A driver may wait for its device when it is opened or closed."""

    _turned: Callable[[], None] = staticmethod(lambda: None)

    def watch(self, turned: Callable[[], None]) -> None:
        """Take the function to call after each turn."""
        self._turned = turned

    async def until_lost(self, lost: asyncio.Future[None], hears: Callable[[], bool] = lambda: True) -> None:
        """Wait for *lost*, going around meanwhile as long as the link *hears*. Raises what *lost* does."""
        while not lost.done():
            if hears():
                self._turned()
            await asyncio.wait({lost}, timeout=TURN_S)
        lost.result()
