# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the guidelines say of the stock, as the reports need it. The engine is asked; nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provisioning.guidelines.engine import ENDED
from provisioning.guidelines.findings import Finding, Mode, Status, Verdict
from provisioning.guidelines.observed import Observed

if TYPE_CHECKING:
    from provisioning.guidelines.engine import Guidelines
    from provisioning.guidelines.pack import Pack
    from provisioning.model.device import DeviceRecord


@dataclass(frozen=True)
class Judged:
    """The findings about each device, by its id; what passed is left out."""

    pack: Pack
    findings: Mapping[str, tuple[Finding, ...]]
    verdicts: Mapping[str, Verdict]

    def hits(self, device: DeviceRecord, rule_id: str, *cases: str, waived: bool = False) -> list[Finding]:
        """What a rule has against a device: in these cases or any, with what was waived or without."""
        return [
            each
            for each in self.findings.get(device.id or "", ())
            if each.rule_id == rule_id
            and each.hit is not None
            and (each.open or waived)
            and (not cases or each.hit.case.partition(".")[0] in cases)
        ]

    def keeps(self, device: DeviceRecord, rule_id: str, *cases: str) -> bool:
        """Whether a device breaks a rule in none of these cases; a waiver or an approval settles it."""
        return not self.hits(device, rule_id, *cases)

    def stream_keeps(self, device: DeviceRecord, index: int, rule_id: str) -> bool:
        """Whether a rule has nothing against one stream of a device, waived or not."""
        return not any(about_stream(each, index) for each in self.hits(device, rule_id, waived=True))

    def settled(self, device: DeviceRecord, status: Status) -> list[Finding]:
        """What was waived, or approved."""
        return [each for each in self.findings.get(device.id or "", ()) if each.status is status]


def about_stream(finding: Finding, index: int) -> bool:
    """Whether a finding is about this stream."""
    return finding.hit is not None and f"{finding.hit.field}/".startswith(f"/streams/{index}/")


def judge(
    rules: Guidelines, devices: Iterable[DeviceRecord], last_heard_s: Mapping[str, float] | None = None
) -> Judged:
    """Ask the engine about each device: on paper, as to be disposed of if it is retired, and how long it is silent.

    `last_heard_s`: Unix time by DevEUI, from whoever received the readings; None where nobody was asked.
    """
    ending = rules.only("LIFE-4")
    listening = replace(rules.only("LIFE-6"), mode=Mode.GATEWAY)
    heard = last_heard_s or {}
    findings: dict[str, tuple[Finding, ...]] = {}
    verdicts: dict[str, Verdict] = {}
    for device in devices:
        found = rules.evaluate(device).brief()
        verdicts[device.id or ""] = found.verdict
        kept = found.findings
        if device.lifecycle.stage in ENDED:
            kept = (*kept, *ending.evaluate(_disposed(device)).brief().findings)
        elif device.dev_eui is not None and device.dev_eui in heard:
            silent_s = max(0.0, rules.now.timestamp() - heard[device.dev_eui])
            seen = Observed("the receiver", device.dev_eui, silent_s=silent_s)
            kept = (*kept, *listening.evaluate(device, seen).brief().findings)
        findings[device.id or ""] = kept
    return Judged(rules.pack, findings, verdicts)


def _disposed(device: DeviceRecord) -> DeviceRecord:
    """The device as if somebody wanted to dispose of it now: LIFE-4 says what is left to do."""
    life = device.lifecycle.model_copy(update={"stage": "disposed"})
    return device.model_copy(update={"lifecycle": life})
