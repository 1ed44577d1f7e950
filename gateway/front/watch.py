# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When to look at a socket: when something comes, and from then on by a timer until nothing does.

After a look that found some, more gathers: a look costs as much as what is done for two frames. To take a socket from
the event loop and give it back costs as much again, so that happens only where traffic ends and begins.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class Watch:
    """Of one socket. *look* returns in how many seconds to look again, or None when nothing was there."""

    def __init__(self, watched: socket.socket, look: Callable[[], float | None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = watched.fileno()
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self._waits = True
        self._loop.add_reader(self._descriptor, self._turn)

    def _turn(self) -> None:
        again_s = None
        try:
            again_s = self._look()
        finally:
            self._next(again_s)

    def _next(self, again_s: float | None) -> None:
        if again_s is not None:
            if self._waits:
                self._loop.remove_reader(self._descriptor)
                self._waits = False
            self._timer = self._loop.call_later(again_s, self._turn)
        elif not self._waits:
            self._loop.add_reader(self._descriptor, self._turn)
            self._waits = True

    def close(self) -> None:
        """Look no more. To be called before the socket is closed."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._descriptor)
