# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Organisations, people, platforms, open datasets, and the papers that people sign."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Table, delete, insert, select, update

from provisioning.errors import DuplicateEntry, PaperError, StaleRevision, UnknownDevice
from provisioning.model.base import Model
from provisioning.model.commanders import Commander
from provisioning.model.datasets import Dataset
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.papers import Paper, Signature, expiry
from provisioning.model.platforms import InterfaceTest, Platform
from provisioning.register import tables
from provisioning.register.log import Change
from provisioning.register.signing import opened
from provisioning.register.spelling import canonical
from provisioning.register.stock import object_of, objects

Object = Organisation | RoleHolder | Platform | Dataset | Commander


class Place(NamedTuple):
    """Where objects of a type are kept, and what they are called."""

    table: Table
    word: str


PLACES: Final[dict[type[Model], Place]] = {
    Organisation: Place(tables.organisations, "org"),
    RoleHolder: Place(tables.role_holders, "role"),
    Platform: Place(tables.platforms, "platform"),
    Dataset: Place(tables.datasets, "dataset"),
    Commander: Place(tables.commanders, "commander"),
}


def put(change: Change, thing: Object, *, replace: bool = False, done: str = "replace") -> int:
    """Write an object. Raises DuplicateEntry where its id is taken and it is not to be replaced.

    `done` is what the log calls the writing of one that was there.
    """
    table, word = PLACES[type(thing)]
    there = change.connection.execute(select(table.c.id).where(table.c.id == thing.id)).scalar_one_or_none()
    if there is not None and not replace:
        raise DuplicateEntry(
            f"This {word} is in the register already.",
            value=thing.id,
            next_step=f"lykta {word} list shows it; --replace puts the new one in its place",
        )
    _check_parts(change, thing)
    body = thing.model_dump(mode="json", exclude_none=True)
    revision = change.log(f"{word}.{'add' if there is None else done}", thing.id, {word: body})
    values = {"body": canonical(body), "revision": revision}
    if there is None:
        change.connection.execute(insert(table).values(id=thing.id, **values))
    else:
        change.connection.execute(update(table).where(table.c.id == thing.id).values(values))
    return revision


def _check_parts(change: Change, thing: Object) -> None:
    """A role or a platform belongs to an organisation that is there; two people never have one key."""
    org = {RoleHolder: "org", Platform: "responsible", Dataset: "publisher", Commander: "org"}.get(type(thing))
    if org is not None:
        org_id = getattr(thing, org)
        if object_of(change.connection, Organisation, org_id) is None:
            raise UnknownDevice(
                "This organisation is not in the register.",
                value=org_id,
                next_step=f"lykta org add {org_id} --name NAME --kind namnd",
            )
    if isinstance(thing, RoleHolder):
        for other in objects(change.connection, RoleHolder):
            if other.public_key == thing.public_key and other.id != thing.id:
                raise DuplicateEntry(
                    "Somebody else signs with this key.",
                    value=f"{other.id} ({other.name})",
                    reason="A signature has to say who decided.",
                    next_step="lykta role key FILE makes a key of one's own",
                )


def revoke_holder(change: Change, holder_id: str) -> RoleHolder:
    """From now on, signatures of this person do not count. What was signed and handed in before stays."""
    holder = object_of(change.connection, RoleHolder, holder_id)
    if holder is None:
        raise UnknownDevice("Nobody with this id is in the register.", value=holder_id, next_step="lykta role list")
    ended = holder.model_copy(update={"revoked_at": datetime.fromtimestamp(change.at_s, UTC)})
    put(change, ended, replace=True)
    return ended


def revoke_commander(change: Change, commander_id: str) -> Commander:
    """From now on, gateways refuse what this key orders, as soon as they ask the register."""
    commander = object_of(change.connection, Commander, commander_id)
    if commander is None:
        raise UnknownDevice(
            "No commander with this id is in the register.", value=commander_id, next_step="lykta commander list"
        )
    ended = commander.model_copy(update={"revoked_at": datetime.fromtimestamp(change.at_s, UTC)})
    put(change, ended, replace=True)
    return ended


def platform_of(connection: Connection, platform_id: str) -> Platform:
    """The platform with this id. Raises UnknownDevice."""
    platform = object_of(connection, Platform, platform_id)
    if platform is None:
        raise UnknownDevice(
            "No platform with this id is in the register.", value=platform_id, next_step="lykta platform list"
        )
    return platform


def keep_test(change: Change, platform_id: str, test: InterfaceTest) -> Platform:
    """Keep what a test of a platform's interface showed. Raises StaleRevision where the interface is another by now."""
    platform = platform_of(change.connection, platform_id)
    if (platform.api_kind, platform.api_url) != (test.kind, test.url):
        raise StaleRevision(
            "The platform's interface was changed while it was tested.",
            value=f"tested {test.kind} {test.url}, now {platform.api_kind} {platform.api_url}",
            reason="The test says nothing about the interface that is registered now.",
            next_step=f"lykta platform test {platform_id}",
        )
    tested = platform.model_copy(update={"api_test": test})
    put(change, tested, replace=True, done="test")
    return tested


def add_paper(change: Change, envelope: bytes) -> tuple[Paper, Signature]:
    """Add a signed paper. Raises PaperError when its signature is not valid now, DuplicateEntry when its id is taken.

    A role holder whose key was revoked cannot hand in papers that pretend to be older: the day they come in counts too.
    """
    holders = {each.id: each for each in objects(change.connection, RoleHolder)}
    paper, signature = opened(envelope, holders)
    now = datetime.fromtimestamp(change.at_s, UTC)
    holder = holders.get(signature.signer or "")
    if signature.status != "valid" or holder is None or not holder.may_sign(now):
        raise PaperError(
            "The signature of this paper does not count.",
            value=f"{paper.type} {paper.id}: {signature.status}, signed as {signature.signer or 'nobody known'}",
            reason="Only what a person of the register has signed with a valid key is a decision.",
            next_step="lykta role list shows who may sign; lykta role add adds somebody",
        )
    there = change.connection.execute(select(tables.papers.c.id).where(tables.papers.c.id == paper.id)).first()
    if there is not None:
        raise DuplicateEntry(
            "A paper with this id is in the register already.",
            value=paper.id,
            reason="A decision is never changed; a new one has an id of its own.",
            next_step=f"lykta {paper.type} list shows it",
        )
    _store(change, paper, envelope, signature)
    return paper, signature


def _store(change: Change, paper: Paper, envelope: bytes, signature: Signature) -> None:
    body = {"paper": paper.model_dump(mode="json", exclude_none=True), "signer": signature.signer}
    revision = change.log(f"{paper.type}.add", paper.id, body)
    change.connection.execute(
        insert(tables.papers).values(
            id=paper.id,
            type=paper.type,
            batch=paper.scope.batch_id,
            platform=getattr(paper, "platform_id", None),
            expires_at_s=int(expiry(paper).timestamp()),
            envelope=envelope,
            revision=revision,
        )
    )
    if paper.scope.device_ids:
        links = [{"paper": paper.id, "device": device_id} for device_id in sorted(set(paper.scope.device_ids))]
        change.connection.execute(insert(tables.paper_devices), links)


def withdraw(change: Change, paper_id: str, reason: str) -> None:
    """Take a paper back before its time. The log keeps it."""
    there = change.connection.execute(select(tables.papers.c.type).where(tables.papers.c.id == paper_id)).scalar()
    if there is None:
        raise PaperError("No paper with this id is in the register.", value=paper_id, next_step="lykta waiver list")
    change.log(f"{there}.withdraw", paper_id, {"reason": reason})
    change.connection.execute(delete(tables.paper_devices).where(tables.paper_devices.c.paper == paper_id))
    change.connection.execute(delete(tables.papers).where(tables.papers.c.id == paper_id))
