# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a dialogue on co-use is worth: which candidates it covers, and what is wrong with it (guidelines 2.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioning.guidelines import deadlines

if TYPE_CHECKING:
    from provisioning.guidelines.rule import Case
    from provisioning.model.papers import CoUseDialogue, Signed

_CITY_ROLES: Final = ("ks", "slk")


@dataclass(frozen=True, slots=True)
class Worth:
    """All dialogues about one device together."""

    covered: frozenset[str]
    """Ids of the candidates that were talked about."""
    used: tuple[str, ...]
    """Ids of the dialogues that count."""
    co_use: tuple[str, ...]
    """Those that said: use the existing device."""
    shared: tuple[str, ...]
    """Those that said: share the responsibility."""
    problems: tuple[str, ...]
    """Why others do not count."""


def weigh(case: Case) -> Worth:
    """Weigh every dialogue that names the device or its batch."""
    covered: set[str] = set()
    used, co_use, shared, problems = [], [], [], []
    for signed in case.stock.dialogues(device_id=case.record.id, batch_id=case.record.batch):
        problem = _problem(case, signed)
        paper = signed.paper
        if problem is not None:
            problems.append(f"{paper.id}: {problem}")
            continue
        used.append(paper.id)
        if paper.outcome == "co_use":
            co_use.append(paper.id)
            continue
        if paper.outcome == "shared_responsibility":
            shared.append(paper.id)
        covered |= {each.device_id for each in paper.candidates}
    return Worth(frozenset(covered), tuple(used), tuple(co_use), tuple(shared), tuple(problems))


def _problem(case: Case, signed: Signed[CoUseDialogue]) -> str | None:
    """Why a dialogue does not count, as a short word; None where it does."""
    paper, signature = signed.paper, signed.signature
    latest = deadlines.dialogue_end(paper, case.pack)
    if signature.status != "valid":
        return f"signature {signature.status}"
    if signature.role not in _CITY_ROLES or signature.role != paper.decided_by.role:
        return f"signed as {signature.role}"
    if case.now < paper.issued:
        return f"issued {paper.issued.date()}"
    if case.now >= latest:
        return f"expired {latest.date()}"
    if not any(each.role in _CITY_ROLES for each in paper.participants):
        return "nobody of ks or slk took part"
    if "PURPOSE_LIMITATION" in _reasons(paper) and paper.dpo is None:
        return "PURPOSE_LIMITATION without dpo"
    absent = _absent_owners(case, paper)
    return f"not asked: {', '.join(absent)}" if absent else None


def _reasons(paper: CoUseDialogue) -> set[str]:
    return {*paper.reason_codes, *(each.reason_code for each in paper.candidates if each.reason_code is not None)}


def _absent_owners(case: Case, paper: CoUseDialogue) -> list[str]:
    present = {each.org for each in paper.participants}
    devices = (case.stock.device(each.device_id) for each in paper.candidates)
    return sorted({each.owner_org for each in devices if each and each.owner_org} - present)
