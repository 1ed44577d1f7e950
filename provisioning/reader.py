# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register as a gateway reads it: with the database's driver alone, in a fraction of the tool's memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioning.errors import ProvisioningError
from provisioning.keys import KeyBox
from provisioning.register import asking, revision
from provisioning.register.address import parse
from provisioning.register.answers import Answers
from provisioning.register.plain import Plain, open_database

if TYPE_CHECKING:
    from provisioning.register.plain import Database

_TABLES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = :name",
    "postgresql": "SELECT name FROM (SELECT :name AS name) AS asked WHERE to_regclass(name) IS NOT NULL",
}
_REVISION: Final = "SELECT version_num FROM alembic_version"


class Reader(Answers):
    """An open register of which only the boards of roll-outs are written. `close` it, or use it in a `with` block."""

    def __init__(self, database: Database, keys: KeyBox) -> None:
        address = database.address
        super().__init__(keys, Path(address.database) if address.backend == "sqlite" else None)
        self._database = database

    @classmethod
    def open(cls, url: str, kek: bytes, *, base: Path | None = None, password: str | None = None) -> Reader:
        """Open an existing register; a relative SQLite path is relative to `base`.

        `kek` is what load_secret returns for the KEK, `password` that of the database's user. Raises RegisterError
        where there is no register or one of another version, WrongKek where its keys would not open.
        """
        address = parse(url, base, password)
        if address.backend == "sqlite" and not Path(address.database).is_file():
            raise revision.no_register(address.database)
        reader = cls(open_database(address), KeyBox(kek))
        try:
            reader._check()
        except ProvisioningError:
            reader.close()
            raise
        return reader

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections to the database."""
        self._close_version()
        self._database.close()

    @contextmanager
    def reading(self) -> Iterator[Plain]:
        """A transaction that only reads: one state of the register, whatever others write meanwhile."""
        with self._transaction() as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Plain]:
        with self._database.transaction(writes=writes) as transaction:
            yield transaction

    def _check(self) -> None:
        where = str(self._database.address)
        with self._transaction() as transaction:
            revision.check(self._revision(transaction), where)
            (city,) = asking.rows(transaction, "SELECT kek_check FROM city")
        revision.check_kek(self._box, bytes(city["kek_check"]), where)

    def _revision(self, transaction: Plain) -> str | None:
        query = _TABLES[self._database.address.backend]
        if asking.one(transaction, query, name=revision.VERSION_TABLE) is not None:
            found = asking.one(transaction, _REVISION)
            return None if found is None else str(found["version_num"])
        return "0001" if asking.one(transaction, query, name=revision.VERSION_TABLE_BEFORE) is not None else None
