# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What may be asked of an open transaction in plain SQL, whoever opened it.

The tool opens the register with SQLAlchemy, which knows the tables (`provisioning.register.tables`) and writes them. A
gateway reads it with the database's driver alone (`provisioning.reader`): it asks a dozen questions, and SQLAlchemy
takes 13 MB of a small box for them. Whatever both ask is written once, as SQL with `:name` for its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from provisioning.register.plain import Plain

if TYPE_CHECKING:
    from sqlalchemy import Connection, TextClause

    Asked = Plain | Connection
    """An open transaction."""

Row = Mapping[str, Any]
_BATCH = 1000


def rows(transaction: Asked, sql: str, **values: object) -> list[Row]:
    """Return all rows of a query."""
    if isinstance(transaction, Plain):
        return transaction.rows(sql, values)
    return [dict(row) for row in transaction.execute(_text(sql), values).mappings()]


def each(transaction: Asked, sql: str, **values: object) -> Iterator[Row]:
    """Yield the rows of a query that may be many, some at a time from the database."""
    if isinstance(transaction, Plain):
        yield from transaction.each(sql, values)
        return
    with transaction.execute(_text(sql), values, execution_options={"yield_per": _BATCH}) as found:
        for row in found.mappings():
            yield dict(row)


def one(transaction: Asked, sql: str, **values: object) -> Row | None:
    """Return the first row of a query, None where there is none."""
    found = rows(transaction, sql, **values)
    return found[0] if found else None


def do(transaction: Asked, sql: str, **values: object) -> None:
    """Change something."""
    if isinstance(transaction, Plain):
        transaction.do(sql, values)
    else:
        transaction.execute(_text(sql), values)


@lru_cache(maxsize=64)
def _text(sql: str) -> TextClause:
    from sqlalchemy import text  # whoever opened the transaction has loaded it

    return text(sql)
