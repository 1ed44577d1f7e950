# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a release reaches a board, whichever link carries it: what a board says of itself decides what it gets next.

Nothing is remembered here but whether the board was told to install: after any interruption, of either side, the
board is asked, and the answer says where to go on. It knows bytes only; who carries them, and when, is the link's.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from firmware.wire import update

ASK: Final = bytes([update.ASK])
WINDOW: Final = 3
"""Blocks before the board is asked how far it is; a board keeps four messages waiting."""
_OFFER_HEAD: Final = 5
_BLOCK_HEAD: Final = 7

_PASSING: Final = (update.NONE, update.NO_SESSION, update.UNHEALTHY, update.DAMAGED)
"""Problems after which a release can still arrive."""
RUNNING: Final = "running"
TRIAL: Final = "trial"
DONE: Final = "done"
FAILED: Final = "failed"


class Sender:
    """One release on its way to one board. `installed`: it was told to install it already."""

    def __init__(self, signed: bytes, bundle: bytes, *, installed: bool = False) -> None:
        self._signed = signed
        self._bundle = bundle
        self.session = hashlib.sha256(signed).digest()[:2]
        manifest = update.manifest(update.parse(signed)[2])
        self._build: bytes = manifest[update.M_BUILD]
        self._sequence: int = manifest[update.M_SEQUENCE]
        self.installed = installed
        self._offered = False
        self.state = RUNNING
        self.problem = ""
        self.have = 0

    @property
    def total(self) -> int:
        """Bytes of the bundle."""
        return len(self._bundle)

    def next(self, payload: bytes, room: int) -> list[bytes]:
        """What the board gets after it has said this; `room`: bytes that a frame carries now. Raises Malformed."""
        first = self.before_blocks(payload, room)
        return self._blocks(room) if first is None else first

    def before_blocks(self, payload: bytes, room: int) -> list[bytes] | None:
        """As `next`, but None when the board is to get the bundle from `have` on. Raises Malformed."""
        status = update.status(payload)
        self._judge(status)
        if self.state != RUNNING:
            return []
        if status[update.S_SESSION] != self.session:
            return self._offer(room)
        self.have = min(status[update.S_HAVE], len(self._bundle))
        if status[update.S_PHASE] == update.COMPLETE:
            self.installed = True
            return [update.install(self.session)]
        return None

    def _judge(self, status: dict[int, Any]) -> None:
        phase, problem, build = (status[key] for key in (update.S_PHASE, update.S_PROBLEM, update.S_BUILD))
        if phase == update.TRIAL:
            self.state, self.installed, self.have = TRIAL, True, len(self._bundle)
        elif build == self._build:  # confirmed, or by cable meanwhile
            self.state, self.have = DONE, len(self._bundle)
        elif self.installed and phase == update.ROLLED_BACK:
            self.state, self.problem = FAILED, update.PROBLEM[update.UNHEALTHY]
        elif problem not in _PASSING and self._is_about_us(status):
            self.state, self.problem = FAILED, update.PROBLEM[problem]
        else:
            self.state = RUNNING

    def _is_about_us(self, status: dict[int, Any]) -> bool:
        """Whether a problem is this release's: a board tells that of the one before until it is offered another."""
        return self._offered or self.installed or status[update.S_SESSION] == self.session

    def _offer(self, room: int) -> list[bytes]:
        self._offered = True
        step = room - _OFFER_HEAD
        total = len(self._signed)
        return [update.offer(at, total, self._signed[at : at + step]) for at in range(0, total, step)]

    def _blocks(self, room: int) -> list[bytes]:
        step = room - _BLOCK_HEAD
        starts = range(self.have, min(len(self._bundle), self.have + WINDOW * step), step)
        last = starts[-1] if starts else -1
        return [update.block(self.session, at, self._bundle[at : at + step], at == last) for at in starts]
