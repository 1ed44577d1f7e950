# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The watchdog of a board. It counts the board's time: what this computer gave to others meanwhile is left out."""

import os
from collections.abc import Callable
from pathlib import Path

from boards.virtual import protocol, stepped

NS_PER_S = 1e9
_SOON_S = 0.02


class Watchdog:
    """Started once with a time-out, then fed. *after* sets its timer, *process* is the board's program now."""

    def __init__(
        self,
        after: Callable[[str, float, Callable[[], object]], object],
        process: Callable[[], int | None],
        bite: Callable[[], object],
    ) -> None:
        self.timeout_ms: int | None = None
        self._after, self._process, self._bite = after, process, bite
        self._of: int | None = None
        self._starved_s = 0.0

    def feed(self, timeout_ms: int | None) -> None:
        """Start it (a time-out) or feed it (None). Raises protocol.Misuse."""
        if timeout_ms is not None:
            if self.timeout_ms not in (None, timeout_ms):
                raise protocol.Misuse(f"WDT runs with {self.timeout_ms} ms and cannot be changed to {timeout_ms} ms")
            self.timeout_ms = timeout_ms
        if self.timeout_ms is None:
            raise protocol.Misuse("WDT.feed() on a watchdog that is not running")
        self._late_s()
        self._after("watchdog", self.timeout_ms / 1000, self._due)

    def _due(self) -> None:
        late_s = self._late_s()
        if late_s > _SOON_S:
            self._after("watchdog", late_s, self._due)
        else:
            self._bite()

    def _late_s(self) -> float:
        """What the board's program has waited for a processor since this was asked last, as far as it is the same."""
        of, was_s = self._of, self._starved_s
        self._of = None if stepped.heap_bytes() else self._process()  # in stepped time nobody is late
        self._starved_s = 0.0 if self._of is None else _waited_s(os.getpid()) + _waited_s(self._of)
        return self._starved_s - was_s if of == self._of else 0.0


def _waited_s(pid: int) -> float:
    """Seconds that a process stood ready while others ran; 0 where nobody counts them.

    The second number of /proc/PID/schedstat, in nanoseconds (Linux, Documentation/scheduler/sched-stats.rst).
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / NS_PER_S
    except (OSError, ValueError, IndexError):  # it has ended, or the kernel was built without
        return 0.0
