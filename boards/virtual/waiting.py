# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Wait for a state instead of sleeping."""

import asyncio
from collections.abc import Callable
from typing import Any

State = dict[str, Any]


class Waiting:
    """People who wait for the board to reach a state."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self._waiters: list[tuple[Callable[[State], bool], asyncio.Future[State]]] = []

    async def until(self, predicate: Callable[[State], bool], timeout_s: float) -> State:
        """The first state that satisfies the predicate; TimeoutError with the last one that did not."""
        state = self._state()
        if predicate(state):
            return state
        waiter: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        entry = (predicate, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            raise TimeoutError(f"after {timeout_s} s the board is still at {self._state()}") from None
        finally:
            self._waiters.remove(entry)

    def changed(self) -> None:
        """Look again; cheap when nobody waits."""
        if not self._waiters:
            return
        state = self._state()
        for predicate, waiter in self._waiters:
            if not waiter.done() and predicate(state):
                waiter.set_result(state)

    def cancel(self) -> None:
        """Nobody can wait any longer."""
        for _, waiter in self._waiters:
            waiter.cancel()
