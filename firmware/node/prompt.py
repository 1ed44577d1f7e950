# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Talks to the person at the console when the node has stopped. Loaded then; until then it takes no memory."""

import select
import sys
import time

import machine
import micropython

from firmware.node import log
from firmware.node.links.breaks import BREAK, MAYBE, BreakWatch
from firmware.node.start import make_safe

_EXPLAIN_MS = 10000
_LONE_BREAK_MS = 200
_POLL_MS = 50
_CTRL_C = 3
_PROMPT_FEED_MS = 1000
_PROMPT_FEEDS = 1800  # a board that was forgotten at the prompt goes back to work after half an hour


def explain(board, error) -> None:
    """Say again and again what is wrong, until somebody asks for the prompt. A build on trial is undone instead."""
    from firmware.node import update_trial as trial

    if trial.under_way():
        log.log_error("start: this build does not work", error)
        reset_in(board, _EXPLAIN_MS)
        return
    while True:
        log.log_error("start: this board does not work", error)
        if _wait(board, _EXPLAIN_MS):
            leave(board)
            return


def reset_in(board, ms: int) -> None:
    """Start anew after so long, unless somebody asks for the prompt."""
    if not _wait(board, ms):
        machine.reset()
    leave(board)


def _wait(board, ms: int) -> bool:
    """Wait so long. Return True at once when a person at the console asks for the prompt."""
    console = select.poll()
    console.register(sys.stdin, select.POLLIN)
    breaks = BreakWatch()
    begun = heard = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), begun) < ms:
        if board.wdt is not None:
            board.wdt.feed()
        if not board.console or not console.poll(_POLL_MS):
            time.sleep_ms(_POLL_MS)
            if breaks.state == MAYBE and time.ticks_diff(time.ticks_ms(), heard) >= _LONE_BREAK_MS:
                return True
            continue
        data = sys.stdin.buffer.read(1)
        heard = time.ticks_ms()
        if data and breaks.feed(data, heard) == BREAK:
            return True
    return False


def leave(board) -> None:
    """Leave the board as a person at the prompt wants it: light on, Ctrl-C works, the watchdog is quiet for a while."""
    make_safe(board)
    if board.wdt is not None:
        _feed_at_prompt(board.wdt)
    log.log("start", "stopped; Ctrl-D starts the node again")
    micropython.kbd_intr(_CTRL_C)


def _feed_at_prompt(wdt) -> None:
    left = [_PROMPT_FEEDS]

    def feed(_timer) -> None:
        left[0] -= 1
        if left[0] > 0:
            wdt.feed()

    for timer_id in (-1, 0):  # some ports have virtual timers, some only numbered ones
        try:
            machine.Timer(timer_id).init(mode=machine.Timer.PERIODIC, period=_PROMPT_FEED_MS, callback=feed)
        except (ValueError, TypeError, OSError):
            continue
        return
