# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sleep: while all tasks wait, the processor sleeps. For boards on batteries.

Light sleep keeps the memory. Deep sleep, where the board's file has ``deep_sleep_s``, takes far less and forgets it;
see slumber.py. It pays for waits that are long enough to make up for starting anew.
"""

import time

import machine

from firmware.node.config import board_int
from firmware.node.lazy import borrowed
from firmware.node.log import log_error

_LEAST_MS = 100  # a shorter wait is not worth the waking
_EARLY_MS = 10  # the last of a wait is spent awake: a task must not come late
_BENCH_WAITS = 5  # after power came, a person at the cable has so many times ``deep_sleep_s`` of light sleep only
_ROOM_BYTES = 2048  # what outlives a deep sleep of the ESP32 ports (machine.RTC.memory)
_AGAIN_MS = 60000  # after a deep sleep that could not be


class Deep:
    """Decides on deep sleep for *node*; its board's ``deep_sleep_s`` is the least wait in seconds that is worth it."""

    def __init__(self, node, board: dict) -> None:
        self._node = node
        self._room = bytearray(_ROOM_BYTES)
        self._least_ms = 1000 * board_int(board, "deep_sleep_s")
        radio = board.get("radio", {})
        node.held_pin = radio.get("cs") if isinstance(radio, dict) else None
        node.wdt_ms = board_int(board, "wdt_ms", 0)
        self._not_before_ms = 0 if machine.reset_cause() == _woken() else _BENCH_WAITS * self._least_ms

    def try_it(self) -> None:
        """Sleep deep when everything can wait that long; returns when it cannot."""
        node = self._node
        now_ms = node.clock.monotonic_ms()
        until_ms = min(node.sample_due, node.service.rest_end, node.network.rest_end)
        if now_ms < self._not_before_ms or until_ms - now_ms < self._least_ms or node.network.outgoing:
            return
        self._not_before_ms = now_ms + _AGAIN_MS
        try:
            with borrowed("slumber") as slumber:
                slumber.sleep(node, until_ms, self._room)
        except (MemoryError, ValueError) as error:
            log_error("sleep: only light", error)


def _woken():
    return getattr(machine, "DEEPSLEEP_RESET", None)


def sleep_between(may_sleep, longest_ms: int, deep=None) -> None:
    """From now on sleep where asyncio waits, when *may_sleep()*, and never longer than the watchdog bears."""
    queues = __import__("asyncio.core", None, None, ["IOQueue"]).IOQueue
    wait = queues.wait_io_event

    def rest(queue, wait_ms) -> None:
        if wait_ms < _LEAST_MS or not may_sleep():
            wait(queue, wait_ms)
            return
        if deep is not None:
            deep.try_it()
        begun = time.ticks_ms()
        machine.lightsleep(min(wait_ms, longest_ms) - _EARLY_MS)
        wait(queue, max(0, min(_EARLY_MS, wait_ms - time.ticks_diff(time.ticks_ms(), begun))))

    queues.wait_io_event = rest
