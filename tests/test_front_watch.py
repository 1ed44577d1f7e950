# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A socket of the front is looked at for as long as the front lives, also after a look that failed."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from gateway.front.watch import Watch


def test_a_socket_is_watched_after_a_look_by_the_timer_failed() -> None:
    """The first look finds something, the second, by the timer, fails; what comes then is found."""
    found: list[bytes] = []
    errors: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        failed, again = asyncio.Event(), asyncio.Event()

        def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            errors.append(str(context["exception"]))
            failed.set()

        loop.set_exception_handler(report)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)

        def look() -> float | None:
            if len(found) == 1 and not errors:
                raise RuntimeError("nobody expects this")
            try:
                found.append(ours.recv(100))
            except BlockingIOError:
                return None
            if len(found) == 2:
                again.set()
            return 0.0

        watch = Watch(ours, look)
        with ours, theirs:
            theirs.send(b"first")
            await asyncio.wait_for(failed.wait(), 20)
            theirs.send(b"second")
            await asyncio.wait_for(again.wait(), 20)
            watch.close()

    asyncio.run(scenario())
    assert found == [b"first", b"second"]
    assert errors == ["nobody expects this"]
