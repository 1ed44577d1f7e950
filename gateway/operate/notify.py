# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What systemd is told: sd_notify(3), without libsystemd. Nothing happens where nobody listens.

Nothing here waits, because the event loop would wait with it: what a full socket does not take is kept, and said before
the next word.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from typing import Final

_MICROSECONDS = 1_000_000
_WATCHDOG: Final = "WATCHDOG=1"
_unsaid: Final[deque[str]] = deque(maxlen=8)
"""What the socket had no room for, oldest first: whether a start, a reload or an end is complete."""


def notify(*fields: str) -> bool:
    """Send fields such as ``READY=1``, after what was not taken before; tell whether somebody was there to hear it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    _unsaid.append("\n".join(fields))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
            opened.setblocking(False)
            opened.connect(address)
            while _unsaid:
                opened.send(_unsaid[0].encode())
                _unsaid.popleft()
    except BlockingIOError:
        if _unsaid[-1] == _WATCHDOG:  # a later one says as much
            _unsaid.pop()
        return False
    except OSError:  # nobody is there
        _unsaid.clear()
        return False
    return True


def fed() -> bool:
    """Every stage made progress."""
    return notify(_WATCHDOG)


def ready(status: str) -> bool:
    """The start, or a reload, is complete."""
    return notify("READY=1", f"STATUS={status}")


def reloading() -> bool:
    """A reload begins; READY=1 ends it. systemd wants to know when it began."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(status: str) -> bool:
    """The orderly end begins."""
    return notify("STOPPING=1", f"STATUS={status}")


def started_by_systemd() -> bool:
    """Tell whether a manager runs this service: it starts it again, and gives it mounts of its own."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_s() -> float | None:
    """Return how often systemd wants to hear WATCHDOG=1, in seconds; None when it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        limit_s = int(os.environ["WATCHDOG_USEC"]) / _MICROSECONDS
    except (KeyError, ValueError):
        return None
    return limit_s if limit_s > 0 else None
