# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What happens to a device after its registration: stages of its life, a new record, a new key, its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from provisioning.errors import ConfigError, InvalidIdentity, RefusedByRules, WrongStage
from provisioning.keys import new_app_key
from provisioning.model.device import DeviceRecord
from provisioning.model.lifecycle import TRANSITIONS, Lifecycle, Retirement, Stage, may_follow
from provisioning.model.verdict import Judge, Verdict
from provisioning.register import credentials, records
from provisioning.register.credentials import Keys
from provisioning.register.log import Change
from provisioning.register.registration import at_stage, device_of, judged_record, refusal, refused
from provisioning.register.stock import DatabaseStock

_JUDGED: frozenset[Stage] = frozenset({"approved", "installed", "operational", "disposed"})
"""A device goes on to these only if the rules let it. Nothing stops suspending and retiring."""


def found(change: Change, what: str) -> DeviceRecord:
    """The device of an id, DevEUI or name. Raises UnknownDevice, also for two."""
    return device_of(change.connection, what)


def move(
    change: Change, what: str, stage: Stage, *, judge: Judge | None = None, facts: dict[str, Any] | None = None
) -> tuple[DeviceRecord, Verdict | None]:
    """Bring a device to another stage; `facts` are fields of its life cycle that become known with it.

    Raises UnknownDevice, WrongStage, RefusedByRules. A device that waits for an approval stays there.
    """
    before = found(change, what)
    _check_transition(before, stage)
    if stage == "retired":
        raise ValueError("a device is retired by retire()")
    life = Lifecycle.model_validate({**dict(before.lifecycle), **(facts or {}), "stage": stage})
    after = before.model_copy(update={"lifecycle": life})
    verdict = _judge(change, after, judge) if stage in _JUDGED else None
    if verdict is not None and verdict.outcome == "blocked":
        raise refused(after, verdict, stage)
    if verdict is not None and verdict.outcome == "needs_approval" and stage == "approved":
        if before.lifecycle.stage == "needs_approval":
            waits = RefusedByRules(
                "This device still needs an approval:\n" + "\n".join(verdict.lines()),
                value=before.id,
                next_step="lykta approval add FILE adds a signed one; then try again",
            )
            raise refusal(after, verdict, waits)
        after = at_stage(after, "needs_approval")
    after = judged_record(change, after, verdict)
    records.replace(change, after, action=f"device.{after.lifecycle.stage}")
    return after, verdict


def facts_of(change: Change, stage: Stage, by: str | None) -> dict[str, Any]:
    """What becomes known with a stage: of an installation, when and by whom."""
    if stage != "installed":
        return {}
    return {"installed_at": datetime.fromtimestamp(change.at_s, UTC), **({} if by is None else {"installed_by": by})}


def retire(change: Change, what: str, *, by: str) -> DeviceRecord:
    """End the use of a device: its keys are destroyed, gateways refuse it from now on. It never comes back."""
    before = found(change, what)
    _check_transition(before, "retired")
    revoked = 0 if before.dev_eui is None else credentials.revoke(change, before.dev_eui)
    today = datetime.fromtimestamp(change.at_s, UTC).date()
    paper = Retirement(date=today, by=by, keys_revoked=True)
    life = before.lifecycle.model_copy(update={"stage": "retired", "retired": paper})
    after = before.model_copy(update={"lifecycle": life})
    records.replace(change, after, action="device.retired", extra={"keys_revoked": revoked})
    return after


def write_retirement(change: Change, what: str, steps: dict[str, Any]) -> DeviceRecord:
    """Add to the protocol of a retired device what was done (fields of Retirement). Raises UnknownDevice, WrongStage,
    ConfigError for a reference that is none."""
    before = found(change, what)
    paper = before.lifecycle.retired
    if before.lifecycle.stage != "retired" or paper is None:
        raise WrongStage(
            "Only of a retired device is it written down what was done with it.",
            value=f"{before.id}: {before.lifecycle.stage}",
            next_step=f"lykta show {before.id}; lykta retire {before.id} ends its use",
        )
    try:
        after = Retirement.model_validate({**dict(paper), **steps})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"This cannot be written down: {first['msg']}.", value=f"{first['loc'][0]} = {first['input']}"
        ) from error
    life = before.lifecycle.model_copy(update={"retired": after})
    record = before.model_copy(update={"lifecycle": life})
    if steps:
        records.replace(change, record, action="device.retirement")
    return record


def amend(
    change: Change, what: str, record: DeviceRecord, *, judge: Judge | None = None
) -> tuple[DeviceRecord, Verdict | None]:
    """Put a new record in the place of the present one. Who it is, its key and its stage stay as they are.

    Raises UnknownDevice, InvalidIdentity when the record is about another device, RefusedByRules.
    """
    before = found(change, what)
    if record.dev_eui not in (None, before.dev_eui) or record.id not in (None, before.id) or record.kind != before.kind:
        raise InvalidIdentity(
            "This record is about another device: id, DevEUI and kind never change.",
            value=f"{record.id or ''} {record.dev_eui or ''} {record.kind}",
            next_step=f"lykta register FILE adds a new device; {before.id} stays as it is",
        )
    if record.name not in (None, before.name):
        records.refuse_duplicate(change.connection, DeviceRecord(kind=record.kind, name=record.name))
    kept: dict[str, Any] = {name: getattr(before, name) for name in ("id", "urn", "identity", "credentials")}
    kept["name"] = record.name or before.name
    kept["lifecycle"] = record.lifecycle.model_copy(update={"stage": before.lifecycle.stage})
    after = record.model_copy(update=kept)
    verdict = _judge(change, after, judge)
    if verdict is not None and verdict.outcome == "blocked":
        raise refused(after, verdict)
    after = judged_record(change, after, verdict)
    records.replace(change, after, action="device.amend")
    return after, verdict


def rotate_key(change: Change, keys: Keys, what: str, app_key: bytes | None = None) -> DeviceRecord:
    """Give a device a new AppKey; the old one is gone. The board has to be made or flashed anew with it."""
    before = found(change, what)
    if before.dev_eui is None or before.lifecycle.stage in {"retired", "disposed"}:
        raise WrongStage(
            "This device has no key in the register.",
            value=f"{before.id}, {before.lifecycle.stage}",
            next_step=f"lykta show {before.id}",
        )
    key = new_app_key() if app_key is None else app_key
    identity = before.identity
    join_eui = bytes.fromhex((identity.join_eui if identity else None) or "")
    credentials.check_app_key(key, bytes.fromhex(before.dev_eui), join_eui)
    credentials.refuse_used(change.connection, keys, key)
    credentials.exchange(change, keys, before, key)
    after = before.model_copy(update={"credentials": credentials.credentials_of(keys, key, change.at_s)})
    records.replace(change, after, action="device.rotate_key")
    return after


def _check_transition(record: DeviceRecord, stage: Stage) -> None:
    before = record.lifecycle.stage
    if not may_follow(before, stage):
        allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing: it is the end"
        raise WrongStage(
            f"A device that is {before} cannot become {stage}.",
            value=f"{record.id}: {before}",
            reason=f"After {before} comes: {allowed}.",
            next_step=f"lykta show {record.id}",
        )


def _judge(change: Change, record: DeviceRecord, judge: Judge | None) -> Verdict | None:
    if judge is None:
        return None
    return judge([record], DatabaseStock(change.connection, datetime.fromtimestamp(change.at_s, UTC)))[0]
