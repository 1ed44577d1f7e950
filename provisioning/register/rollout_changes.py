# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What people do to roll-outs in the register: plan, start and abort them. All of it is logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, update

from provisioning.errors import AlreadyExists, RegisterError
from provisioning.register import tables
from provisioning.register.log import Change
from provisioning.register.rollouts import find, known, row_of
from provisioning.register.spelling import canonical
from provisioning.updates.rollout import PLANNED, BoardState, Gates


def plan(
    change: Change,
    name: str,
    made: tuple[bytes, bytes],
    gates: Gates,
    facts: Mapping[str, Any],
    boards: Sequence[BoardState],
) -> None:
    """Enter a roll-out; *made*: signed manifest and bundle. Raises AlreadyExists."""
    signed, bundle = made
    if find(change.connection, name) is not None:
        raise AlreadyExists(
            "A roll-out with this name is planned already.", value=name, next_step="give it another --name"
        )
    body = {"gates": asdict(gates), "facts": dict(facts)}
    sizes: dict[int, int] = {}
    for each in boards:
        sizes[each.wave] = sizes.get(each.wave, 0) + 1
    logged = {**body, "boards": len(boards), "waves": [sizes[wave] for wave in sorted(sizes)]}
    values = {
        "id": name,
        "state": PLANNED,
        "body": canonical(body),
        "signed": signed,
        "bundle": bundle,
        "created_at_s": change.at_s,
        "revision": change.log("rollout.plan", name, logged),
    }
    change.connection.execute(insert(tables.rollouts).values(values))
    rows = [{"rollout": name, "changed_at_s": change.at_s, **row_of(each)} for each in boards]
    change.connection.execute(insert(tables.rollout_boards), rows)


def set_state(change: Change, name: str, state: str, allowed: Iterable[str]) -> None:
    """Start or abort. Raises UnknownDevice, RegisterError where its state does not allow that."""
    found = known(change.connection, name)
    if found.state not in allowed:
        raise RegisterError(f"This roll-out is {found.state}.", value=name, next_step=f"lykta update status {name}")
    revision = change.log(f"rollout.{state}", name, {"before": found.state})
    table = tables.rollouts
    change.connection.execute(update(table).where(table.c.id == name).values(state=state, revision=revision))
