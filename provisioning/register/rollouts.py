# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Roll-outs in the register: people plan, start and abort them, which is logged; gateways note what each board did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, insert, select, update

from provisioning.database import transaction
from provisioning.errors import AlreadyExists, RegisterError, UnknownDevice
from provisioning.register import tables
from provisioning.register.log import Change, canonical
from provisioning.updates.rollout import PLANNED, BoardState, Gates

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

_PROBLEM_CHARS: Final = 128


@dataclass(frozen=True)
class Rollout:
    """What was planned. `facts`: of the release, for people."""

    id: str
    state: str
    gates: Gates
    facts: Mapping[str, Any]
    created_at_s: int


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
    rows = [{"rollout": name, "changed_at_s": change.at_s, **_row(each)} for each in boards]
    change.connection.execute(insert(tables.rollout_boards), rows)


def set_state(change: Change, name: str, state: str, allowed: Iterable[str]) -> None:
    """Start or abort. Raises UnknownDevice, RegisterError where its state does not allow that."""
    found = known(change.connection, name)
    if found.state not in allowed:
        raise RegisterError(f"This roll-out is {found.state}.", value=name, next_step=f"lykta update status {name}")
    revision = change.log(f"rollout.{state}", name, {"before": found.state})
    table = tables.rollouts
    change.connection.execute(update(table).where(table.c.id == name).values(state=state, revision=revision))


def find(connection: Connection, name: str) -> Rollout | None:
    """A roll-out without its release; None where there is none."""
    table = tables.rollouts
    query = select(table.c.id, table.c.state, table.c.body, table.c.created_at_s).where(table.c.id == name)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _rollout(row)


def known(connection: Connection, name: str) -> Rollout:
    """The same; raises UnknownDevice."""
    found = find(connection, name)
    if found is None:
        raise UnknownDevice("There is no roll-out with this name.", value=name, next_step="lykta update status")
    return found


def every(connection: Connection) -> list[Rollout]:
    """All, oldest first."""
    table = tables.rollouts
    query = select(table.c.id, table.c.state, table.c.body, table.c.created_at_s)
    rows = connection.execute(query.order_by(table.c.created_at_s, table.c.id)).mappings()
    return [_rollout(row) for row in rows]


def boards(connection: Connection, name: str) -> list[BoardState]:
    """The boards of a roll-out, wave by wave."""
    table = tables.rollout_boards
    query = select(table).where(table.c.rollout == name).order_by(table.c.wave, table.c.dev_eui)
    return [_board(row) for row in connection.execute(query).mappings()]


def release(connection: Connection, name: str) -> tuple[bytes, bytes]:
    """Its signed manifest and bundle."""
    table = tables.rollouts
    row = connection.execute(select(table.c.signed, table.c.bundle).where(table.c.id == name)).one()
    return bytes(row.signed), bytes(row.bundle)


def note(engine: Engine, name: str, notes: Iterable[BoardState]) -> None:
    """Write what became of boards; nothing of that is logged. Raises RegisterError."""
    table = tables.rollout_boards
    with transaction(engine, writes=True) as connection:
        for each in notes:
            here = (table.c.rollout == name) & (table.c.dev_eui == each.dev_eui)
            values = {name: value for name, value in _row(each).items() if name not in ("dev_eui", "wave")}
            connection.execute(update(table).where(here).values(**values, changed_at_s=each.changed_at_s))


def _row(board: BoardState) -> dict[str, Any]:
    return {
        "dev_eui": board.dev_eui,
        "wave": board.wave,
        "state": board.state,
        "problem": board.problem[:_PROBLEM_CHARS],
        "have": board.have,
        "gateway": board.gateway,
    }


def _board(row: RowMapping) -> BoardState:
    return BoardState(**{name: row[name] for name in BoardState.__dataclass_fields__})


def _rollout(row: RowMapping) -> Rollout:
    body = json.loads(row["body"])
    return Rollout(row["id"], row["state"], Gates(**body["gates"]), body["facts"], row["created_at_s"])
