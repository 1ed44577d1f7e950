# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where a register is, as its URL says: `sqlite:///FILE` or `postgresql://USER@HOST:PORT/NAME`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from provisioning import database_errors

_URL: Final = re.compile(
    r"(?P<scheme>[\w+]+)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[0-9]+))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
_BACKENDS: Final = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a register is. Its text shows no password."""

    backend: str
    """`sqlite` or `postgresql`."""
    database: str
    """A file, or a database of the server."""
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the driver, as `sslmode`."""

    def __str__(self) -> str:
        if self.backend == "sqlite":
            return f"sqlite:///{self.database}"
        user = "" if self.user is None else f"{self.user}{'' if self.password is None else ':***'}@"
        host = self.host or ""
        host = f"[{host}]" if ":" in host else host
        return f"postgresql://{user}{host}{'' if self.port is None else f':{self.port}'}/{self.database}"

    def arguments(self) -> dict[str, Any]:
        """What the driver of a server is called with."""
        stated = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database or None,
        }
        return {name: value for name, value in stated.items() if value is not None} | dict(self.options)


def parse(url: str, base: Path | None = None, password: str | None = None) -> Address:
    """Parse a URL; a relative file is relative to `base`, `password` is taken before its own. Raises RegisterError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise database_errors.no_address()
    backend = _BACKENDS.get(found["scheme"])
    if backend is None:
        raise database_errors.unknown_kind("a gateway reads SQLite and PostgreSQL", found["scheme"] + "://")
    database = unquote(found["database"] or "")
    if backend == "sqlite":
        if not database or database == ":memory:":
            raise database_errors.no_file(url)
        return Address(backend, str(database if base is None else base / database))
    address = Address(
        backend,
        database,
        unquote(found["ipv6"] or found["host"] or "") or None,
        None if found["port"] is None else int(found["port"]),
        None if found["user"] is None else unquote(found["user"]),
        None if found["password"] is None else unquote(found["password"]),
        dict(parse_qsl(found["query"] or "")),
    )
    return address if password is None else replace(address, password=password)
