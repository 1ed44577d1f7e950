# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What people decide and sign: dialogues on co-use, approvals, waivers. Objects of their own, apart from devices.

A paper says what somebody wants to be true. Whether it counts (rule known, role right, in time, signature valid) is
asked of the rules, every time anew; the register only says what the signature is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import Field

from provisioning.model.base import MAX_TEXT, Day, DeviceId, LongText, Model, Moment, OrgId, Reference, Text
from provisioning.model.organisations import RoleId

ReasonCode = Literal[
    "COVERAGE",
    "ACCURACY",
    "INTERVAL",
    "AVAILABILITY",
    "CONTRACT",
    "PURPOSE_LIMITATION",
    "END_OF_LIFE",
    "SAFETY_SEPARATION",
    "OWNER_DECLINED",
]
WaiverReason = Literal["PILOT", "DELIVERY", "LEGACY", "NO_ALTERNATIVE", "SAFETY", "MIGRATION", "EMERGENCY", "OTHER"]
Devices = Annotated[tuple[DeviceId, ...], Field(max_length=10_000)]
MIN_REASON: Final = 30
"""Characters of a reason, at least."""


class Decision(Model):
    """Who decided."""

    name: Text
    role: RoleId
    delegation_ref: Reference | None = None


class Scope(Model):
    """What a paper is about: named devices, or one batch. Nothing else: there are no wild cards."""

    device_ids: Devices = ()
    batch_id: Reference | None = None


class Participant(Model):
    """Who took part in a dialogue, and what was answered."""

    org: OrgId
    role: RoleId
    answer: Literal["yes", "no", "no_answer"]
    name: Text | None = None


class Candidate(Model):
    """A device that could have been used instead of a new one."""

    device_id: DeviceId
    distance_m: Annotated[float, Field(ge=0)]
    fit: Literal["good", "partial"]
    owner_answer: Literal["yes", "no", "no_answer"]
    reason_code: ReasonCode | None = None


class CoUseDialogue(Model):
    """The evidence of SHARE-1: was an existing device considered, with whom, and what came out."""

    type: Literal["dialogue"] = "dialogue"
    id: Reference
    scope: Scope
    """The new device or batch."""
    dates: Annotated[tuple[Day, ...], Field(min_length=1, max_length=64)]
    participants: Annotated[tuple[Participant, ...], Field(min_length=1, max_length=1000)]
    candidates: Annotated[tuple[Candidate, ...], Field(max_length=10_000)] = ()
    outcome: Literal["co_use", "shared_responsibility", "new_device_justified"]
    reason_codes: Annotated[tuple[ReasonCode, ...], Field(max_length=16)] = ()
    text: Annotated[LongText, Field(min_length=MIN_REASON)]
    dpo: Text | None = None
    """Who spoke for data protection, where the reason is PURPOSE_LIMITATION."""
    case_ref: Reference
    decided_by: Decision
    issued: Moment
    expires: Moment


class Approval(Model):
    """A permission that a rule of severity APPROVE asks for."""

    type: Literal["approval"] = "approval"
    id: Reference
    rule_id: Annotated[str, Field(pattern=r"^[A-Z]{2,8}-[0-9]{1,2}[a-z]?$")]
    """The rule it answers: PLAT-2, NET-1, STD-2."""
    scope: Scope = Scope()
    """Devices or batch; of an approval of a platform it may be empty."""
    platform_id: Reference | None = None
    applicant_org: OrgId
    application: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    """Of a platform: what for."""
    why_common_not_enough: LongText | None = None
    reason_text: LongText | None = None
    conditions: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    guideline_version: Text | None = None
    export_to: Reference | None = None
    """The integration platform that a local one delivers to."""
    requested_by: Text
    decided_by: Decision
    case_ref: Reference
    issued: Moment
    valid_from: Day
    valid_to: Day


class Waiver(Model):
    """One rule set aside for named devices or one batch, for a time, by somebody who may."""

    type: Literal["waiver"] = "waiver"
    id: Reference
    rule_id: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    """Any text, since a waiver of an unknown rule is ignored and reported, not lost."""
    scope: Scope
    reason_code: WaiverReason
    reason_text: Annotated[LongText, Field(min_length=MIN_REASON)]
    compensating_measure: LongText | None = None
    requested_by: Text
    approved_by: Decision
    case_ref: Reference
    issued: Moment
    expires: Moment
    rulepack_version: Text


Paper = CoUseDialogue | Approval | Waiver
PAPER_TYPES: Final[Mapping[str, type[Paper]]] = MappingProxyType(
    {"dialogue": CoUseDialogue, "approval": Approval, "waiver": Waiver}
)
PaperT = TypeVar("PaperT", bound=Paper)


class Signature(Model):
    """What the signature of a paper is worth, as the register found it."""

    status: Literal["valid", "missing", "invalid", "unknown_key", "key_not_valid"]
    """`key_not_valid`: a known key, but revoked, or not valid when the paper was issued."""
    signer: Reference | None = None
    """Id of the role holder."""
    name: Text | None = None
    role: RoleId | None = None
    org: OrgId | None = None
    delegation_ref: Reference | None = None

    def by(self, role: str) -> bool:
        """Return whether this is a valid signature of somebody in `role`."""
        return self.status == "valid" and self.role == role


class Signed(Model, Generic[PaperT]):
    """A paper and what its signature is worth."""

    paper: PaperT
    signature: Signature


def expiry(paper: Paper) -> datetime:
    """Return when a paper ends: from this moment on it does not count."""
    if isinstance(paper, Approval):  # the last day counts in full
        return datetime.combine(paper.valid_to, time(), UTC) + timedelta(days=1)
    return paper.expires
