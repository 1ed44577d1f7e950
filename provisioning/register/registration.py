# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Registration: a record comes in, is judged, is given an id and a key, and is written; or nothing of it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection

from provisioning.errors import (
    InvalidIdentity,
    ProvisioningError,
    Refusal,
    RefusedByRules,
    StaleRevision,
    UnknownDevice,
    WrongStage,
)
from provisioning.identities import check_eui, new_eui
from provisioning.keys import new_app_key
from provisioning.model.device import DeviceRecord
from provisioning.model.lifecycle import Stage
from provisioning.model.parts import Identity
from provisioning.model.verdict import Judge, Verdict
from provisioning.register import credentials, records
from provisioning.register.bench import MAX_NAME, check_name
from provisioning.register.credentials import Keys
from provisioning.register.known import Ids, Known
from provisioning.register.log import Change
from provisioning.register.record_text import wire_kind
from provisioning.register.stock import DatabaseStock

_STAGES: dict[str, Stage] = {"ok": "approved", "needs_approval": "needs_approval"}
_FIRST_STAGES = frozenset({"planned", "registered"})


@dataclass(frozen=True)
class Options:
    """How records are let in."""

    judge: Judge | None = None
    """The city's rules; without them a record waits in the stage `registered`."""
    keep_stage: bool = False
    """For a stock that is taken over: devices keep the stage they say, and findings do not refuse them."""
    app_keys: Mapping[str, bytes] | None = None
    """Keys that came with the devices, by DevEUI; devices that are not in it are given random ones."""
    revision: int | None = None
    """The revision that somebody looked at before: if the register has gone on since, nothing is registered."""


@dataclass(frozen=True)
class Result:
    """What became of one record."""

    record: DeviceRecord | None
    """As it is in the register; None when it was refused."""
    verdict: Verdict | None = None
    error: ProvisioningError | None = None
    already: bool = False
    """The same record was registered before: nothing was changed."""


@dataclass(frozen=True)
class _Prepared:
    handed_in: DeviceRecord
    record: DeviceRecord
    """With the id, name and key that it would have."""
    app_key: bytes | None
    digest: bytes


def register(change: Change, keys: Keys, inputs: Sequence[DeviceRecord], options: Options) -> list[Result]:
    """Register the records of one batch; return what became of each, in their order.

    Records that are refused are not written and do not hold up the others: the caller decides whether that is enough.
    """
    if options.revision is not None and options.revision != change.head.seq:
        raise StaleRevision(
            "The register has changed since you looked at it. Nothing was registered.",
            value=f"revision {options.revision}, now {change.head.seq}",
            reason="Somebody may have registered a device in the same place, or with the same key, meanwhile.",
            next_step=f"lykta check FILE, then again with --revision {change.head.seq}",
        )
    desk = _Desk(change, keys, options, Known(change, inputs), Ids(change, inputs))
    prepared: list[_Prepared | Result] = []
    for record in inputs:
        try:
            prepared.append(desk.prepare(record))
        except ProvisioningError as error:
            prepared.append(Result(None, error=error))
    ready = [each for each in prepared if isinstance(each, _Prepared)]
    verdicts = iter(_judged(change, [each.record for each in ready], options.judge))
    results = [desk.decide(each, next(verdicts)) if isinstance(each, _Prepared) else each for each in prepared]
    desk.write("device.register")
    return results


def register_bench(change: Change, keys: Keys, record: DeviceRecord, app_key: bytes | None) -> DeviceRecord:
    """Register a device for the bench as it is. Raises DuplicateEntry, InvalidIdentity."""
    options = Options(app_keys={} if app_key is None else {record.dev_eui or "": app_key}, keep_stage=True)
    desk = _Desk(change, keys, options, Known(change, [record]), Ids(change, [record]))
    ready = desk.prepare(record)
    if isinstance(ready, Result) or ready.app_key is None:
        raise InvalidIdentity("A device for the bench has a DevEUI of its own.", value=record.dev_eui)
    desk.accepted.append((ready, ready.record, None))
    desk.write("device.bench")
    return ready.record


@dataclass
class _Desk:
    """The registration of one batch: what is known, what was accepted and is to be written."""

    change: Change
    keys: Keys
    options: Options
    known: Known
    ids: Ids
    accepted: list[tuple[_Prepared, DeviceRecord, bytes | None]] = field(default_factory=list)

    def prepare(self, record: DeviceRecord) -> _Prepared | Result:
        """Check a record's form and give it id, name and key. Raises what refuses it."""
        digest = records.input_digest(record)
        before = self.known.same_input(record, digest)
        if before is not None:
            return Result(records.find(self.change.connection, before), already=True)
        if not self.options.keep_stage and record.lifecycle.stage not in _FIRST_STAGES:
            raise WrongStage(
                "A record that comes in is planned or registered; the register itself says when it is more.",
                value=f"lifecycle.stage = {record.lifecycle.stage}",
                next_step="leave lifecycle.stage out; to take over a standing stock: lykta import --keep-stage",
            )
        self.known.claim(record)
        full, app_key = self._with_key(_with_identity(record))
        if record.id is not None:
            self.ids.saw(record.id)
        device_id = record.id or self.ids.next(record.kind)
        name = record.name or f"{wire_kind(record)}-{record.dev_eui or device_id}"
        urn = record.urn or f"urn:ngsi-ld:Device:{device_id}"
        full = full.model_copy(update={"id": device_id, "name": name[:MAX_NAME], "urn": urn})
        return _Prepared(record, full, app_key, digest)

    def _with_key(self, record: DeviceRecord) -> tuple[DeviceRecord, bytes | None]:
        """Give a device with a DevEUI its key, unless its record says that the key is kept elsewhere."""
        held = record.credentials
        elsewhere = held is not None and held.store_ref is not None and not held.store_ref.startswith("register:")
        given = (self.options.app_keys or {}).get(record.dev_eui or "")
        if record.dev_eui is None or (elsewhere and given is None) or (held is not None and held.kind != "otaa"):
            return record, None
        app_key = new_app_key() if given is None else given
        identity = record.identity
        join_eui = bytes.fromhex((identity.join_eui if identity else None) or "")
        credentials.check_app_key(app_key, bytes.fromhex(record.dev_eui), join_eui)
        if given is not None:
            credentials.refuse_used(self.change.connection, self.keys, app_key)
        stated = credentials.credentials_of(self.keys, app_key, self.change.at_s)
        fingerprint = str(stated.fingerprint)
        self.known.once("AppKey", fingerprint, "Two devices of this batch have the same AppKey.")
        self.known.keep("AppKey", fingerprint)
        return record.model_copy(update={"credentials": stated}), app_key

    def decide(self, ready: _Prepared, verdict: Verdict | None) -> Result:
        """Accept a record or refuse it."""
        if verdict is not None and verdict.outcome == "blocked" and not self.options.keep_stage:
            return Result(None, verdict, refused(ready.handed_in, verdict))
        stage: Stage = "registered" if verdict is None else _STAGES.get(verdict.outcome, "registered")
        record = judged_record(self.change, ready.record, verdict)
        if not self.options.keep_stage:
            record = at_stage(record, stage)
        self.accepted.append((ready, record, ready.digest))
        return Result(record, verdict)

    def write(self, action: str) -> None:
        """Write what was accepted."""
        records.add_all(self.change, [(record, digest) for _, record, digest in self.accepted], action=action)
        held = [(record, ready.app_key) for ready, record, _ in self.accepted if ready.app_key is not None]
        credentials.store_all(self.change, self.keys, held)
        self.ids.store()


def _with_identity(record: DeviceRecord) -> DeviceRecord:
    """Check the EUIs; a LoRaWAN device without a JoinEUI is given one."""
    if record.name is not None:
        check_name(record.name, "device")
    identity = record.identity
    if identity is None or identity.dev_eui is None:
        return record
    check_eui(bytes.fromhex(identity.dev_eui), "DevEUI")
    join_eui = new_eui().hex() if identity.join_eui is None else identity.join_eui
    check_eui(bytes.fromhex(join_eui), "JoinEUI")
    full = Identity(dev_eui=identity.dev_eui, join_eui=join_eui, serial=identity.serial)
    return record.model_copy(update={"identity": full})


def _judged(change: Change, ready: Sequence[DeviceRecord], judge: Judge | None) -> Sequence[Verdict | None]:
    if judge is None or not ready:
        return [None] * len(ready)
    return judge(ready, DatabaseStock(change.connection, datetime.fromtimestamp(change.at_s, UTC)))


def judged_record(change: Change, record: DeviceRecord, verdict: Verdict | None) -> DeviceRecord:
    """The record with the rules it was judged by, and when."""
    if verdict is None:
        return record
    now = datetime.fromtimestamp(change.at_s, UTC)
    return record.model_copy(update={"rulepack_version": verdict.rulepack_version, "evaluated_at": now})


def at_stage(record: DeviceRecord, stage: Stage) -> DeviceRecord:
    """The record in another stage."""
    return record.model_copy(update={"lifecycle": record.lifecycle.model_copy(update={"stage": stage})})


def refused(record: DeviceRecord, verdict: Verdict, stage: Stage | None = None) -> RefusedByRules:
    """Why the rules do not let a record in; or, with `stage`, a registered device go on to it."""
    into = "into the register" if stage is None else f"become {stage}"
    again = "correct the record and register it again; lykta check FILE tries without registering"
    if stage is not None:
        again = f"do what the findings say, and run it again; lykta show {record.id} shows the record"
    return refusal(
        record,
        verdict,
        RefusedByRules(
            f"The city's guidelines do not let this device {into}:\n" + "\n".join(verdict.lines()),
            value=record.name or record.dev_eui or record.id,
            next_step=again,
        ),
    )


def refusal(record: DeviceRecord, verdict: Verdict, error: RefusedByRules) -> RefusedByRules:
    """The error with what the log keeps of it."""
    about = (verdict.blocking, verdict.rulepack_version, record.name, record.dev_eui, record.owner_org, record.id)
    error.refusal = Refusal(record.kind, *about)
    return error


def device_of(connection: Connection, what: str) -> DeviceRecord:
    """The record of an id, DevEUI or name. Raises UnknownDevice, also for two: none is guessed."""
    record = records.find(connection, device_meant(connection, what)[0])
    if record is None:
        raise unknown(what)
    return record


def device_meant(connection: Connection, what: str) -> tuple[str, str | None, str]:
    """Id, DevEUI and name of the device of an id, DevEUI or name. Raises UnknownDevice, also for two."""
    found = records.meant(connection, what)
    if not found:
        raise unknown(what)
    if len(found) > 1:
        raise UnknownDevice(
            "Several devices of the register are meant by this.",
            value=what[:80],
            reason="It is the name of one, and the id or DevEUI of another.",
            next_step=f"say which in another way: {' or '.join(', '.join(filter(None, names)) for names in found)}",
        )
    return found[0]


def unknown(what: str) -> UnknownDevice:
    """Nothing in the register has this id, DevEUI or name."""
    return UnknownDevice(
        "No device with this id, DevEUI or name is in the register.",
        value=what[:80],
        next_step="lykta list shows the registered ones",
    )
