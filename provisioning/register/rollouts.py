# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Roll-outs in the register, as gateways and people read them; gateways note what each board did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provisioning.errors import UnknownDevice
from provisioning.register import asking
from provisioning.updates.rollout import BoardState, Gates

if TYPE_CHECKING:
    from provisioning.register.answers import Answers
    from provisioning.register.asking import Asked, Row

_PROBLEM_CHARS: Final = 128
_ROLLOUTS: Final = "SELECT id, state, body, created_at_s FROM rollouts "
_BOARDS: Final = """
SELECT dev_eui, wave, state, problem, have, gateway, changed_at_s FROM rollout_boards WHERE rollout = :rollout
ORDER BY wave, dev_eui
"""
_NOTE: Final = """
UPDATE rollout_boards
SET state = :state, problem = :problem, have = :have, gateway = :gateway, changed_at_s = :changed_at_s
WHERE rollout = :rollout AND dev_eui = :dev_eui
"""


@dataclass(frozen=True)
class Rollout:
    """What was planned. `facts`: of the release, for people."""

    id: str
    state: str
    gates: Gates
    facts: Mapping[str, Any]
    created_at_s: int


def find(connection: Asked, name: str) -> Rollout | None:
    """A roll-out without its release; None where there is none."""
    row = asking.one(connection, _ROLLOUTS + "WHERE id = :id", id=name)
    return None if row is None else _rollout(row)


def known(connection: Asked, name: str) -> Rollout:
    """The same; raises UnknownDevice."""
    found = find(connection, name)
    if found is None:
        raise UnknownDevice("There is no roll-out with this name.", value=name, next_step="lykta update status")
    return found


def every(connection: Asked) -> list[Rollout]:
    """All, oldest first."""
    return [_rollout(row) for row in asking.rows(connection, _ROLLOUTS + "ORDER BY created_at_s, id")]


def boards(connection: Asked, name: str) -> list[BoardState]:
    """The boards of a roll-out, wave by wave."""
    return [BoardState(**row) for row in asking.rows(connection, _BOARDS, rollout=name)]


def release(connection: Asked, name: str) -> tuple[bytes, bytes]:
    """Its signed manifest and bundle."""
    (row,) = asking.rows(connection, "SELECT signed, bundle FROM rollouts WHERE id = :id", id=name)
    return bytes(row["signed"]), bytes(row["bundle"])


def note(register: Answers, name: str, notes: Iterable[BoardState]) -> None:
    """Write what became of boards; nothing of that is logged. Raises RegisterError."""
    with register.noting() as connection:
        for each in notes:
            values = {key: value for key, value in row_of(each).items() if key != "wave"}
            asking.do(connection, _NOTE, rollout=name, changed_at_s=each.changed_at_s, **values)


def row_of(board: BoardState) -> dict[str, Any]:
    """The columns of a board that people or gateways write."""
    return {
        "dev_eui": board.dev_eui,
        "wave": board.wave,
        "state": board.state,
        "problem": board.problem[:_PROBLEM_CHARS],
        "have": board.have,
        "gateway": board.gateway,
    }


def _rollout(row: Row) -> Rollout:
    body = json.loads(row["body"])
    return Rollout(row["id"], row["state"], Gates(**body["gates"]), body["facts"], row["created_at_s"])
