# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the node, and decides what happens when it cannot go on: light first, then an explanation, then a reset."""

import asyncio
import gc
import select
import sys
import time

import machine
import micropython

from firmware.node import config, log
from firmware.node.errors import ConfigError, LeaveToRepl, NodeError
from firmware.node.files import Files
from firmware.node.lazy import borrowed
from firmware.node.links import open_link
from firmware.node.links.breaks import BREAK, MAYBE, BreakWatch
from firmware.node.roles import open_role
from firmware.node.store import Slots, decode
from firmware.wire import cbor
from firmware.wire.errors import Malformed

_DATA = "/data"
_EXPLAIN_MS = 10000
_LOADING_GC_BYTES = 4096  # collect so often while code is loaded: what stays lies together, not amid holes
_RESET_MS = 10000
_LONE_BREAK_MS = 200
_POLL_MS = 50
_CTRL_C = 3
_PROMPT_FEED_MS = 1000
_PROMPT_FEEDS = 1800  # a board that was forgotten at the prompt goes back to work after half an hour


class _Board:
    """What is known of the hardware so far; it grows while the node starts."""

    def __init__(self) -> None:
        self.role = None
        self.wdt = None  # type: machine.WDT | None
        self.console = True


def main() -> None:
    """Run until the power goes. Returns only when a person asked for the prompt."""
    micropython.kbd_intr(-1)
    board = _Board()
    try:
        _run(board)
    except (KeyboardInterrupt, LeaveToRepl):
        pass
    except NodeError as error:  # known, and a reset would not help: what is on flash cannot be used
        _make_safe(board)
        _explain(board, error)
    except Exception as error:  # noqa: BLE001  whatever it is, the board must neither go dark nor stay dead
        _make_safe(board)
        log.log("start", "unknown fault; reset in %d s" % (_RESET_MS // 1000))
        sys.print_exception(error)
        if not _wait(board, _RESET_MS):
            machine.reset()
    _to_prompt(board)


def _run(board: _Board) -> None:
    gc.threshold(_LOADING_GC_BYTES)
    files = Files(_DATA)
    settings = config.load(files)
    board.console = settings.console
    log.enable(settings.console)
    board.role = open_role(settings.kind, settings.board, files)
    _remember_pins(files, settings)
    if "wdt_ms" in settings.board:
        board.wdt = machine.WDT(timeout=config.board_int(settings.board, "wdt_ms"))
    with borrowed("boots", "wire.kinds.common") as boots:
        facts = boots.facts(files)
    from firmware.node.app import Node  # after the light is on: loading takes a while

    node = Node(files, settings, board.role, open_link(settings.link, settings), board.wdt, facts)
    gc.collect()
    gc.threshold(-1)
    asyncio.run(node.run())


def _remember_pins(files, settings) -> None:
    """Keep kind and pins apart from the identity, so that a board without one still knows where its lamp is."""
    pins = Slots(files, "pins")
    payload = cbor.dumps([settings.kind, settings.board])
    if pins.payload != payload:
        pins.write(payload)


def _make_safe(board: _Board) -> None:
    try:
        if board.role is None:
            payload = Slots(Files(_DATA), "pins").payload
            if payload:
                kind, pins = decode(payload)
                board.role = open_role(kind, pins, Files(_DATA))
        if board.role is not None:
            board.role.fail_safe()
    except (OSError, ConfigError, Malformed, ValueError) as error:
        log.log_error("start: the safe state is not reached", error)


def _explain(board: _Board, error: NodeError) -> None:
    """Say again and again what is wrong, until somebody asks for the prompt."""
    while True:
        log.log_error("start: this board does not work", error)
        if _wait(board, _EXPLAIN_MS):
            return


def _wait(board: _Board, ms: int) -> bool:
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


def _to_prompt(board: _Board) -> None:
    """Leave the board as a person at the prompt wants it: light on, Ctrl-C works, the watchdog is quiet for a while."""
    _make_safe(board)
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
