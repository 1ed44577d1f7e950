# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Several records judged together: members of a batch do not find each other, but they do not share a key either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from provisioning.guidelines import render_text
from provisioning.guidelines.engine import Guidelines, guidelines
from provisioning.guidelines.findings import Evaluation, Mode
from provisioning.guidelines.texts import Language, language_of_locale

if TYPE_CHECKING:
    from provisioning.guidelines.signed_pack import LoadedPack
    from provisioning.model.device import DeviceRecord
    from provisioning.model.stock import Stock
    from provisioning.model.verdict import Judge, Outcome, Verdict


class _Together:
    """A stock that also knows the keys of the records that are judged with each other."""

    def __init__(self, stock: Stock, records: Sequence[DeviceRecord]) -> None:
        self._stock = stock
        self._by_print: dict[str, list[DeviceRecord]] = {}
        for each in records:
            if each.fingerprint is not None:
                self._by_print.setdefault(each.fingerprint, []).append(each)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stock, name)

    def devices_with(self, fingerprint: str) -> Sequence[DeviceRecord]:
        """See Stock."""
        there = list(self._stock.devices_with(fingerprint))
        known = {each.id for each in there}
        return there + [each for each in self._by_print.get(fingerprint, ()) if each.id is None or each.id not in known]


def evaluate_together(rules: Guidelines, records: Sequence[DeviceRecord]) -> list[Evaluation]:
    """Evaluate records that are to be registered together, in their order."""
    together = replace(rules, stock=cast("Stock", _Together(rules.stock, records)))
    return [together.evaluate(each) for each in records]


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict as the register wants it."""

    evaluation: Evaluation
    language: Language

    @property
    def outcome(self) -> Outcome:
        """`ok`, `needs_approval` or `blocked`."""
        return self.evaluation.verdict.value

    @property
    def rulepack_version(self) -> str:
        """Of the rules it was judged by."""
        return self.evaluation.rulepack_version

    @property
    def blocking(self) -> tuple[str, ...]:
        """The rules with a finding that keeps the record from being approved today."""
        return tuple(dict.fromkeys(each.rule_id for each in self.evaluation.findings if render_text.is_serious(each)))

    def lines(self) -> list[str]:
        """All findings as text for a technician."""
        return render_text.findings_lines([self.evaluation], self.language)


def judge(loaded: LoadedPack, language: Language | None = None, now: datetime | None = None) -> Judge:
    """What the register asks before it takes records: these rules."""
    spoken = language or language_of_locale()

    def judged(records: Sequence[DeviceRecord], stock: Stock) -> Sequence[Verdict]:
        rules = guidelines(stock, loaded, mode=Mode.REGISTER, now=now)
        return [Judged(each, spoken) for each in evaluate_together(rules, records)]

    return judged
