# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Giving up what no platform took in time, where the operator allowed it: the lowest rank first, of it the oldest.

A run of lost envelopes becomes one signed notice, which goes to the platforms in their place: what is missing is said,
not left to be found out. Neighbouring notices become one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.outbox.lanes import END
from gateway.outbox.schema import LOSS
from gateway.records.envelope import Position, digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.outbox.lanes import Lanes
    from gateway.outbox.stream import Sealer

Why = Literal["outbox_full", "too_old"]
_ROWS_AT_A_TIME = 500
_COLUMNS = "id, stream, first, last, previous, CASE tail WHEN x'' THEN digest ELSE tail END, rank"


@dataclass(frozen=True, slots=True)
class _Lost:
    """One envelope, or a run of neighbours."""

    row: int
    """The id of the last: a notice stands where everything before it was handed out already, or not yet."""
    stream: int
    first: int
    last: int
    previous: bytes
    tail: bytes
    rank: int


def lowest(connection: sqlite3.Connection, spare: int) -> list[_Lost]:
    """Return some of the oldest envelopes of the lowest rank that there is, of those up to id *spare* before others.

    Up to there only platforms wait that may not have anything now.
    """
    for upto in (spare, END):
        for rank in range(LOSS):
            query = f"SELECT {_COLUMNS} FROM envelope WHERE rank = ? AND id <= ? ORDER BY id LIMIT ?"  # noqa: S608
            found = [_Lost(*row) for row in connection.execute(query, (rank, upto, _ROWS_AT_A_TIME))]
            if found:
                return found
    return []


def stored_before(connection: sqlite3.Connection, at_s: float, through: int) -> list[_Lost]:
    """Return some of the oldest envelopes after id *through* that were stored before *at_s* on the outbox's clock."""
    query = f"SELECT {_COLUMNS}, at FROM envelope WHERE id > ? AND rank < ? ORDER BY id LIMIT ?"  # noqa: S608 - a constant
    rows = connection.execute(query, (through, LOSS, _ROWS_AT_A_TIME))
    return [_Lost(*row) for *row, stored_s in rows if stored_s < at_s]


def give_up(
    connection: sqlite3.Connection,
    given_up: Sequence[_Lost],
    lanes: Mapping[str, Lanes],
    edges: Iterable[int],
    sealer: Sealer,
    why: Why,
) -> int:
    """Put notices in the place of envelopes; return how many readings were lost. The caller holds the transaction.

    No notice reaches over an edge between spans: a platform that took one side would never hear of the other.
    What every platform took is deleted without a notice. Raises CannotSign.
    """
    wanted = [each for each in given_up if not lanes or any(spans.waits(each.row) for spans in lanes.values())]
    known = {each.row for each in wanted}
    connection.executemany(
        "DELETE FROM envelope WHERE id = ?", [(each.row,) for each in given_up if each.row not in known]
    )
    _count(connection, wanted, lanes)
    cuts = sorted(set(edges) | {edge for spans in lanes.values() for edge in spans.edges()})
    for run in _runs(wanted, cuts):
        _replace(connection, _with_neighbours(connection, run, cuts), sealer, why)
    return sum(each.last - each.first + 1 for each in wanted)


def _count(connection: sqlite3.Connection, wanted: Sequence[_Lost], lanes: Mapping[str, Lanes]) -> None:
    for platform, spans in lanes.items():
        lost = sum(each.last - each.first + 1 for each in wanted if spans.waits(each.row))
        connection.execute(
            "INSERT INTO lane (platform, through, readings, dropped) VALUES (?, 0, 0, ?) ON CONFLICT (platform) "
            "DO UPDATE SET dropped = dropped + excluded.dropped",
            (platform, lost),
        )


def _runs(wanted: Sequence[_Lost], cuts: Sequence[int]) -> list[list[_Lost]]:
    runs: list[list[_Lost]] = []
    for each in wanted:
        if runs and _follows(runs[-1][-1], each, cuts):
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _follows(before: _Lost, after: _Lost, cuts: Sequence[int]) -> bool:
    together = before.stream == after.stream and before.last + 1 == after.first
    return together and not any(before.row <= cut < after.row for cut in cuts)


def _with_neighbours(connection: sqlite3.Connection, run: list[_Lost], cuts: Sequence[int]) -> list[_Lost]:
    """Add the notices right before and right after a run."""
    before = _neighbour(connection, "id < ? ORDER BY id DESC", run[0].row)
    if before is not None and before.rank == LOSS and _follows(before, run[0], cuts):
        run = [before, *run]
    after = _neighbour(connection, "id > ? ORDER BY id", run[-1].row)
    if after is not None and after.rank == LOSS and _follows(run[-1], after, cuts):
        run = [*run, after]
    return run


def _neighbour(connection: sqlite3.Connection, which: str, row: int) -> _Lost | None:
    found = connection.execute(f"SELECT {_COLUMNS} FROM envelope WHERE {which} LIMIT 1", (row,)).fetchone()  # noqa: S608
    return _Lost(*found) if found else None


def _replace(connection: sqlite3.Connection, run: Sequence[_Lost], sealer: Sealer, why: Why) -> None:
    first, last = run[0], run[-1]
    stream_id = connection.execute("SELECT stream_id FROM stream WHERE number = ?", (first.stream,)).fetchone()[0]
    message = sealer.loss(Position(stream_id, first.first, last.last, first.previous), last.tail, why)
    connection.executemany("DELETE FROM envelope WHERE id = ?", [(each.row,) for each in run[:-1]])
    connection.execute(
        "UPDATE envelope SET first = ?, message = ?, digest = ?, rank = ?, previous = ?, tail = ? WHERE id = ?",
        (first.first, message, digest(message), LOSS, first.previous, last.tail, last.row),
    )
