# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where every reading of the demo is in the end. Nothing may be in no place, or in two."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.demo.flash import FlashQueue
from provisioning.verification import Judgement


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

    @property
    def ok(self) -> bool:
        """Every durable reading was verified, and none is lost or duplicated."""
        whole = self.durable == self.verified and not self.lost and not self.duplicated
        return whole and self.verified > 0 and self.judgement.ok

    def lines(self) -> list[str]:
        """The summary for people."""
        counts = (
            ("readings made on the board", self.made),
            ("held durably by the gateway", self.durable),
            ("verified by the consumer", self.verified),
            ("still on the board", self.waiting),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
        )
        lines = [f"{name:<30}{count:>8}" for name, count in counts]
        if not self.judgement.ok:
            lines += self.judgement.lines()
        if self.durable != self.verified:
            lines.append(f"{self.durable - self.verified} durable readings were not verified")
        return lines


def summarise(durable: int, verified_seqs: set[int], queue: FlashQueue, judgement: Judgement) -> Summary:
    """Put together what gateway, board and verifier say. `verified_seqs` are the board's numbers that were verified."""
    made = max(verified_seqs | queue.seqs, default=0)  # the board counts from 1 without a hole
    waiting = queue.waiting - verified_seqs
    lost = made - len(verified_seqs | waiting)
    return Summary(
        made=made,
        durable=durable,
        verified=len(verified_seqs),
        waiting=len(waiting),
        lost=lost,
        duplicated=judgement.report.duplicates,
        judgement=judgement,
    )
