# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Light sleep: while all tasks wait, the processor sleeps. For boards on batteries."""

import time

import machine

_LEAST_MS = 100  # a shorter wait is not worth the waking
_EARLY_MS = 10  # the last of a wait is spent awake: a task must not come late


def sleep_between(may_sleep, longest_ms: int) -> None:
    """From now on sleep where asyncio waits, when *may_sleep()*, and never longer than the watchdog bears."""
    queues = __import__("asyncio.core", None, None, ["IOQueue"]).IOQueue
    wait = queues.wait_io_event

    def rest(queue, wait_ms) -> None:
        if wait_ms < _LEAST_MS or not may_sleep():
            wait(queue, wait_ms)
            return
        begun = time.ticks_ms()
        machine.lightsleep(min(wait_ms, longest_ms) - _EARLY_MS)
        wait(queue, max(0, min(_EARLY_MS, wait_ms - time.ticks_diff(time.ticks_ms(), begun))))

    queues.wait_io_event = rest
