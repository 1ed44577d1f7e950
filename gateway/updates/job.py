# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One board of one roll-out: what it is sent next, and what is noted of it. Pure.

The board's answers are the memory. Only that it is told to install is noted before it is told: after a kill in between
its way back to the build before is known for what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from firmware.wire import fragments, update
from firmware.wire.readings import FPORT_FRAGMENTS, FPORT_UPDATE
from provisioning.updates import rollout, sender
from provisioning.updates.fragmented import Fragmented
from provisioning.updates.rollout import BoardState

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTE_EVERY_S = 10.0
"""So often the register hears how many bytes a board has."""
LONGEST_S = 900.0
ABORT = bytes([update.ABORT])
_TOLD = (update.S_SESSION, update.S_HAVE, update.S_PHASE, update.S_PROBLEM)
"""What tells one answer of a board from the one before: a refusal changes its problem only."""
_OFTEN = 2


class Message(NamedTuple):
    """A payload for a board, and its port."""

    fport: int
    payload: bytes


def _on_update(payloads: Sequence[bytes]) -> list[Message]:
    return [Message(FPORT_UPDATE, each) for each in payloads]


def _on_fragments(payloads: Sequence[bytes]) -> list[Message]:
    return [Message(FPORT_FRAGMENTS, each) for each in payloads]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one of these boards may take to answer, and how often one on trial is asked."""

    answer_s: float
    trial_s: float
    fragments: bool = False
    """The bundle goes in fragments of TS004, of which any may be lost."""


ON_A_LINE = Patience(6.0, 5.0)
ON_AIR = Patience(120.0, 300.0, fragments=True)


class Job:
    """*board*: as the register has it."""

    def __init__(self, name: str, release: tuple[bytes, bytes], board: BoardState) -> None:
        self.name = name
        self.board = board
        self.withdrawn = False
        """It is to forget what it has."""
        installed = board.state in (rollout.INSTALLING, rollout.TRIAL)
        self._sender = sender.Sender(*release, installed=installed)
        self._session = self._sender.session
        self._fragments = Fragmented(self._session, release[1])
        self._ask_at_s = float("-inf")
        self._asked = False
        self._answered: tuple[object, ...] = ()
        self._silent = 0
        self._spoke_at_s: float | None = None
        self._held: list[Message] = []
        self._noted_at_s = float("-inf")
        self._changed = False

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done, once it is noted."""
        return self.board.state in rollout.ENDED

    @property
    def silent(self) -> bool:
        """Whether it was asked in vain more than once: then it takes no other board's turn."""
        return self._silent > _OFTEN

    @property
    def under_way(self) -> bool:
        """Whether it has some of the release, and is not on trial."""
        return self.board.state in (rollout.SENDING, rollout.INSTALLING) and self._sender.state == sender.RUNNING

    def is_due(self, now_s: float) -> bool:
        """Whether ``due`` would have something to send."""
        return now_s >= self._ask_at_s and not self.ended and not self._held

    def later(self, at_s: float) -> None:
        """Nobody here can reach it now."""
        self._ask_at_s = at_s

    def spoke(self, heard_at_s: float, now_s: float) -> None:
        """It had all that was for it, and this is when it was heard last: is it awake, and answers nothing?

        Then what it was sent last is lost, or its answer. While it polls it can be asked at once: the next occasion may
        be hours away.
        """
        before, self._spoke_at_s = self._spoke_at_s, heard_at_s
        if before is not None and heard_at_s > before:
            self._ask_at_s = min(self._ask_at_s, now_s)

    def due(self, now_s: float, patience: Patience) -> list[Message]:
        """What it is sent because it said nothing for too long, or because of a trial."""
        if not self.is_due(now_s):
            return []
        wait_s = patience.trial_s if self._sender.state == sender.TRIAL else patience.answer_s
        self._ask_at_s = now_s + min(LONGEST_S, wait_s * 2 ** min(self._silent, 8))
        self._silent += 1
        self._asked, self._spoke_at_s = True, None
        return _on_update([ABORT if self.withdrawn else sender.ASK])

    def heard(self, payload: bytes, room: int, now_s: float, patience: Patience) -> list[Message]:
        """What it is sent because it said this on FPort 10. Raises wire Malformed."""
        status = update.status(payload)
        self._silent, asked, self._asked, self._spoke_at_s = 0, self._asked, False, None
        if self.withdrawn and self.board.state == rollout.SENDING:
            if status[update.S_SESSION] != self._session:
                self._become(rollout.WITHDRAWN, "", 0)
            return []
        said = tuple(status[key] for key in _TOLD)
        if not asked and said == self._answered and self._sender.state == sender.RUNNING:
            return []  # the answer to what was sent twice; what is on its way answers it
        messages = self._next(payload, room, patience)
        self._answered = said
        self._ask_at_s = now_s + (patience.trial_s if self._sender.state == sender.TRIAL else patience.answer_s)
        self._tell(messages)
        if self.board.state == rollout.INSTALLING and messages and self._changed:
            self._held = messages
            return []
        return messages

    def heard_fragments(self, payload: bytes, room: int, now_s: float, patience: Patience) -> list[Message]:
        """What it is sent because it said this on FPort 201. Raises wire Malformed."""
        if self.withdrawn or self._sender.state != sender.RUNNING or self._held:
            return []
        found = self._fragments
        payloads = found.heard(payload, room)
        self._silent, self._spoke_at_s = 0, None
        self._ask_at_s = now_s + patience.answer_s
        self._sender.have = max(self._sender.have, found.have)
        if found.problem:
            self._become(rollout.FAILED, found.problem, found.have)
            return []
        if payloads is not None:
            return _on_fragments(payloads)
        self._asked = True
        closing = _on_fragments([fragments.delete_req(0)]) if found.have == self._sender.total else []
        return closing + _on_update([sender.ASK])

    def note(self, now_s: float) -> BoardState | None:
        """What the register has to hear now, if anything."""
        if not self._changed:
            moved = self.board.have != self._sender.have and self.board.state == rollout.SENDING
            if not moved or now_s - self._noted_at_s < NOTE_EVERY_S:
                return None
            self.board = replace(self.board, have=self._sender.have)
        return self.board

    def noted(self, note: BoardState, now_s: float) -> list[Message]:
        """It is in the register; return what waited for that."""
        self._noted_at_s = now_s
        if note != self.board:
            return []
        self._changed = False
        held, self._held = self._held, []
        return held

    def _next(self, payload: bytes, room: int, patience: Patience) -> list[Message]:
        if not patience.fragments or self._fragments.unheard:
            return _on_update(self._sender.next(payload, room))
        first = self._sender.before_blocks(payload, room)
        if first is None:
            return _on_fragments(self._fragments.begin(self._sender.have, room))
        return _on_update(first)

    def _tell(self, messages: Sequence[Message]) -> None:
        found = self._sender
        if found.state == sender.DONE:
            self._become(rollout.CONFIRMED, "", found.total)
        elif found.state == sender.FAILED:
            self._become(rollout.FAILED, found.problem, found.have)
        elif found.state == sender.TRIAL:
            self._become(rollout.TRIAL, "", found.total)
        elif messages and messages[0] == (FPORT_UPDATE, update.install(self._session)):
            self._become(rollout.INSTALLING, "", found.total)
        else:
            self._become(rollout.SENDING, "", self.board.have)

    def _become(self, state: str, problem: str, have: int) -> None:
        if (state, problem) != (self.board.state, self.board.problem):
            self.board = replace(self.board, state=state, problem=problem, have=have)
            self._changed = True
