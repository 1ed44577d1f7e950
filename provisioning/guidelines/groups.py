# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Findings that say the same of several records, gathered one evaluation after the other: as small as what is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from provisioning.guidelines.findings import Evaluation, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Callable

FEW: Final = 4
_SETTLED: Final = frozenset({Status.WAIVED, Status.APPROVED})


@dataclass
class Group:
    """The first finding of a kind, the first records that it is about, and how many more there are."""

    first: Finding
    names: list[str] = field(default_factory=list)
    count: int = 0
    """Of records."""
    told: set[int] = field(default_factory=set)
    """Hashes of the messages: how many different ones there are."""
    _last: str = ""

    def add(self, finding: Finding, message: str) -> None:
        """Count one more."""
        self.told.add(hash(message))
        if finding.device_id != self._last:
            self._last = finding.device_id
            self.count += 1
            if len(self.names) < FEW:
                self.names.append(finding.device_id)


class Groups:
    """All of them, in the order in which each was met first."""

    def __init__(self, message: Callable[[Finding], str], *, everything: bool = False) -> None:
        self.found: dict[str, Group] = {}
        self._message = message
        self._everything = everything

    def add(self, evaluation: Evaluation) -> None:
        """Gather the findings of one record."""
        for finding in evaluation.findings:
            if self._everything or finding.open or finding.status in _SETTLED:
                group = self.found.setdefault(_same(finding), Group(finding))
                group.add(finding, self._message(finding))


@dataclass
class Totals:
    """Verdicts and tallies of all records together."""

    count: int = 0
    subject: str = ""
    verdicts: dict[str, int] = field(default_factory=dict)
    tally: dict[str, int] = field(default_factory=dict)

    def add(self, evaluation: Evaluation) -> None:
        """Count one more."""
        self.count += 1
        self.subject = evaluation.subject
        self.verdicts[evaluation.verdict] = self.verdicts.get(evaluation.verdict, 0) + 1
        _add(self.tally, evaluation.tally)


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def _same(finding: Finding) -> str:
    hit = finding.hit
    told: list[Any] = [finding.rule_id, finding.status, finding.weight, str(finding.grace_until), finding.settled_by]
    if hit is None:
        told.append(finding.device_id if finding.evidence else "")
    else:
        told += [hit.case, hit.field, [dict(row) for row in hit.rows]]
        if hit.rows:
            told.append(finding.device_id)
    return json.dumps(told, default=str, sort_keys=True)
