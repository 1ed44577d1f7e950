# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the node, and decides what happens when it cannot go on: light first, then an explanation, then a reset."""

import asyncio
import gc
import sys

import machine
import micropython

from firmware.node import log
from firmware.node.config import board_int
from firmware.node.errors import ConfigError, LeaveToRepl, NodeError
from firmware.node.files import Files
from firmware.node.lazy import borrowed
from firmware.node.links import open_link
from firmware.node.roles import open_role
from firmware.node.store import Slots, decode
from firmware.wire import cbor
from firmware.wire.errors import Malformed

_DATA = "/data"
_LOADING_GC_BYTES = 4096  # collect so often while code is loaded: what stays lies together, not amid holes
_RESET_MS = 10000


class Board:
    """What is known of the hardware so far; it grows while the node starts."""

    def __init__(self) -> None:
        self.role = None
        self.wdt = None  # type: machine.WDT | None
        self.console = True


def main() -> None:
    """Run until the power goes. Returns only when a person asked for the prompt."""
    micropython.kbd_intr(-1)
    board = Board()
    try:
        _run(board)
    except (KeyboardInterrupt, LeaveToRepl):
        _prompt(board).leave(board)
    except NodeError as error:  # known, and a reset would not help: what is on flash cannot be used
        make_safe(board)
        _prompt(board).explain(board, error)
    except Exception as error:  # noqa: BLE001  whatever it is, the board must neither go dark nor stay dead
        make_safe(board)
        log.log("start", "unknown fault; reset in %d s" % (_RESET_MS // 1000))
        sys.print_exception(error)
        _prompt(board).reset_in(board, _RESET_MS)


def _prompt(board: Board):
    """Return what talks to the person at the console; what the node's tasks held is free for it."""
    try:
        make_safe(board)  # it ends a fade: cancelled after its loop is gone, asyncio reads memory that was freed
        asyncio.new_event_loop()
        gc.collect()
        from firmware.node import prompt
    except Exception as error:  # noqa: BLE001  the flash or the memory: only a new start may help
        sys.print_exception(error)
        machine.reset()
    return prompt


def _run(board: Board) -> None:
    gc.threshold(_LOADING_GC_BYTES)
    woken = None
    if machine.reset_cause() == getattr(machine, "DEEPSLEEP_RESET", None):
        with borrowed("slumber") as slumber:
            woken = slumber.begin()  # or it sleeps on
    files = Files(_DATA)
    with borrowed("identity") as identity:
        settings = identity.load(files)
    board.console = settings.console
    log.enable(settings.console)
    board.role = open_role(settings.kind, settings.board, files)
    _remember_pins(files, settings)
    if "wdt_ms" in settings.board:
        board.wdt = machine.WDT(timeout=board_int(settings.board, "wdt_ms"))
    facts = None
    if woken is None:  # else it is what it was, and kept
        with borrowed("boots", "wire.kinds.common") as boots:
            facts = boots.facts(files)
    from firmware.node.app import Node  # after the light is on: loading takes a while

    node = Node(files, settings, board.role, open_link(settings.link, settings), board.wdt, facts, woken)
    gc.collect()
    gc.threshold(-1)
    if settings.console and settings.link != "serial":  # no frames there: a person's Ctrl-C is one
        micropython.kbd_intr(3)
    asyncio.run(node.run())


def _remember_pins(files, settings) -> None:
    """Keep kind and pins apart from the identity, so that a board without one still knows where its lamp is."""
    pins = Slots(files, "pins")
    payload = cbor.dumps([settings.kind, settings.board])
    if pins.payload != payload:
        pins.write(payload)


def make_safe(board: Board) -> None:
    """Bring the hardware into the state that harms nobody, as well as that can be done."""
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
