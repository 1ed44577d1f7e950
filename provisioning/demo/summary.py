# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where every reading of the demo is in the end. Nothing may be in no place, or in two."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from provisioning.demo.flash import FlashQueue
from provisioning.verification import Judgement

_NOTHING = FlashQueue(frozenset(), 0)


@dataclass(frozen=True)
class Summary:
    """Counts of readings. `durable` is what the gateway has on disk, `waiting` what only the board has."""

    made: int
    durable: int
    verified: int
    waiting: int
    lost: int
    duplicated: int
    judgement: Judgement
    boards: int = 1
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Every durable reading was verified, and none is lost or duplicated."""
        whole = self.durable == self.verified and not self.lost and not self.duplicated
        return whole and self.verified > 0 and self.judgement.ok

    def lines(self) -> list[str]:
        """The summary for people."""
        board = "board" if self.boards == 1 else f"{self.boards} boards"
        counts = (
            (f"readings made on the {board}", self.made),
            ("held durably by the gateway", self.durable),
            ("verified by the consumer", self.verified),
            (f"still on the {board}", self.waiting),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
        )
        lines = [f"{name:<30}{count:>8}" for name, count in counts]
        lines += self.remarks
        if not self.judgement.ok:
            lines += self.judgement.lines()
        if self.durable != self.verified:
            lines.append(f"{self.durable - self.verified} durable readings were not verified")
        return lines


def summarise(
    durable: int,
    verified: Mapping[str, Set[int]],
    queues: Mapping[str, FlashQueue],
    judgement: Judgement,
    remarks: tuple[str, ...] = (),
) -> Summary:
    """Put together what gateway, boards and verifier say; `verified` and `queues` are by DevEUI.

    `verified`: the numbers, as the board gave them, of the readings that were verified.
    """
    made = waiting = lost = 0
    for board in verified.keys() | queues.keys():
        seqs, queue = verified.get(board, frozenset()), queues.get(board, _NOTHING)
        made_here = max(seqs | queue.seqs, default=0)  # a board counts from 1 without a hole
        waiting_here = queue.waiting - seqs
        made += made_here
        waiting += len(waiting_here)
        lost += made_here - len(seqs | waiting_here)
    return Summary(
        made=made,
        durable=durable,
        verified=sum(map(len, verified.values())),
        waiting=waiting,
        lost=lost,
        duplicated=judgement.report.duplicates,
        judgement=judgement,
        boards=len(queues),
        remarks=remarks,
    )
