# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register: the city's devices with their encrypted keys, and its gateways with their certificates.

Several processes use one register at once: this tool writes it, every gateway reads it. Thread-safe.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from provisioning.database import open_engine, resolve_url, transaction
from provisioning.entries import Device, Gateway, gateway_of, moment
from provisioning.errors import (
    DuplicateEntry,
    ProvisioningError,
    RefusedByRules,
    RegisterError,
)
from provisioning.identities import check_eui
from provisioning.keys import PURPOSE_CHECK, KeyBox
from provisioning.model.commanders import Commander
from provisioning.register import guards, refusals, revision, tables
from provisioning.register.answers import Answers
from provisioning.register.bench import bench_record, check_name
from provisioning.register.credentials import Keys
from provisioning.register.log import Change, changing
from provisioning.register.registration import register_bench

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ["Commander", "Device", "Gateway", "Registry"]

_CHECK_TEXT = b"lykta"


class Registry(Answers):
    """An open register. Make one with `open` or `create`; `close` it, or use it in a `with` block."""

    def __init__(self, engine: Engine, keys: KeyBox) -> None:
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        super().__init__(keys, None if file is None else Path(file))
        self._engine = engine
        self._keys: Keys | None = None
        self.actor = os.environ.get("LYKTA_ACTOR") or getpass.getuser()
        """Who the log says it was."""

    @classmethod
    def open(cls, url: str, kek: bytes, *, base: Path | None = None, password: str | None = None) -> Registry:
        """Open an existing register; a relative SQLite path is relative to `base`.

        `kek` is what load_secret returns for the KEK, `password` that of the database's user. Raises RegisterError
        where there is no register or one of another version, WrongKek where its keys would not open.
        """
        address = _address(url, base, password)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
            raise revision.no_register(address.database or url)
        registry = cls(open_engine(address), KeyBox(kek))
        try:
            registry._check()
        except ProvisioningError:
            registry.close()
            raise
        return registry

    @classmethod
    def create(
        cls, url: str, kek: bytes, *, city: str, base: Path | None = None, password: str | None = None
    ) -> Registry:
        """Make the tables of a new register and open it. Refuses a database that already holds one."""
        registry = cls(open_engine(_address(url, base, password)), KeyBox(kek))
        try:
            registry._create(city)
            registry._check()
        except ProvisioningError:
            registry.close()
            raise
        return registry

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections to the database."""
        self._close_version()
        self._engine.dispose()

    def city(self) -> str:
        """The name of the city."""
        with self._transaction() as connection:
            return str(connection.execute(select(tables.city.c.name)).scalar_one())

    def register_device(
        self,
        kind: str,
        *,
        dev_eui: bytes | None = None,
        join_eui: bytes | None = None,
        name: str | None = None,
        owner: str | None = None,
        app_key: bytes | None = None,
    ) -> Device:
        """Add a device for the bench, without a record. What is left out is chosen: random EUIs, a random AppKey.

        Raises UnknownKind, InvalidIdentity for an EUI, key or name no device may have, DuplicateEntry for a
        DevEUI, name or key that the register already holds.
        """
        record = bench_record(kind, dev_eui=dev_eui, join_eui=join_eui, name=name, owner=owner)
        with self.change() as change:
            register_bench(change, self.keys(), record, app_key)
        found = self.device(bytes.fromhex(record.dev_eui or ""))
        if found is None:
            raise RegisterError("The device was registered and is not there.", value=record.dev_eui)
        return found

    @contextmanager
    def change(self) -> Iterator[Change]:
        """A transaction that changes the register and logs it. Of what the rules refuse only the refusal is logged."""
        now_s = int(time.time())
        try:
            with self._transaction(writes=True) as connection, changing(connection, now_s, self.actor) as change:
                yield change
        except RefusedByRules as error:
            refusals.keep(self, [error])
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one state of the register, whatever others write meanwhile."""
        with self._transaction() as connection:
            yield connection

    def keys(self) -> Keys:
        """What seals the devices' keys."""
        if self._keys is None:
            raise RegisterError("The register is not open.")
        return self._keys

    @property
    def engine(self) -> Engine:
        """The database."""
        return self._engine

    def gateway(self, eui: bytes) -> Gateway | None:
        """The gateway with this EUI, None where the register holds none."""
        query = select(tables.gateways).where(tables.gateways.c.eui == eui.hex())
        with self._transaction() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else gateway_of(dict(row))

    def gateways(self) -> list[Gateway]:
        """All gateways, oldest first."""
        query = select(tables.gateways).order_by(tables.gateways.c.created_at_s, tables.gateways.c.eui)
        with self._transaction() as connection:
            return [gateway_of(dict(row)) for row in connection.execute(query).mappings()]

    def add_gateway(
        self, eui: bytes, name: str, *, certificate_pem: str, certificate_sha256: bytes, not_after: datetime
    ) -> Gateway:
        """Add an enrolled gateway. Raises DuplicateEntry for an EUI, name or certificate that is already there."""
        check_eui(eui, "gateway EUI")
        gateway = Gateway(
            eui=eui,
            name=check_name(name, "gateway"),
            certificate_pem=certificate_pem,
            certificate_sha256=certificate_sha256,
            not_after=not_after,
            state="registered",
            created_at=moment(int(time.time())),
        )
        values = {
            "eui": eui.hex(),
            "name": gateway.name,
            "certificate_pem": certificate_pem,
            "certificate_sha256": certificate_sha256,
            "not_after_s": int(not_after.timestamp()),
            "state": gateway.state,
            "created_at_s": int(gateway.created_at.timestamp()),
        }
        with self.change() as change:
            self.refuse_known_gateway(eui, name, connection=change.connection)
            change.connection.execute(insert(tables.gateways).values(values))
            change.log("gateway.enroll", eui.hex(), {"name": name, "certificate_sha256": certificate_sha256.hex()})
        return gateway

    def refuse_known_gateway(self, eui: bytes, name: str, *, connection: Connection | None = None) -> None:
        """Raise DuplicateEntry when a gateway has this EUI or this name already."""
        if connection is None:
            with self._transaction() as own:
                self.refuse_known_gateway(eui, name, connection=own)
            return
        table = tables.gateways
        for column, value, what in ((table.c.eui, eui.hex(), "EUI"), (table.c.name, name, "name")):
            taken = connection.execute(select(table.c.name).where(column == value)).scalar_one_or_none()
            if taken is not None:
                raise DuplicateEntry(
                    f"A gateway with this {what} is already enrolled.",
                    value=f"{value} ({taken})",
                    reason="Two gateways with one identity would fork the city's signed record.",
                    next_step="lykta gateway list shows them",
                )

    def _create(self, city: str) -> None:
        now_s = int(time.time())
        check = self._box.seal(PURPOSE_CHECK, b"", _CHECK_TEXT)
        with self._transaction(writes=True) as connection:
            if tables.revision(connection) is not None:
                raise DuplicateEntry(
                    "This database already holds a register.",
                    value=self._engine.url.render_as_string(hide_password=True),
                    reason="Making it anew would lose every device key of the city.",
                    next_step="lykta devices shows what it holds",
                )
            tables.create(connection)
            connection.execute(insert(tables.city).values(name=city, created_at_s=now_s, kek_check=check))
            with changing(connection, now_s, self.actor) as change:
                change.log("register.create", city, {"revision": tables.HEAD})

    def _check(self) -> None:
        where = self._engine.url.render_as_string(hide_password=True)
        with self._transaction() as connection:
            revision.check(tables.revision(connection), where)
            city = connection.execute(select(tables.city)).one()
        revision.check_kek(self._box, city.kek_check, where)
        self._keys = Keys(self._box, self._box.fingerprint_key(city.fingerprint_key, city.kek_check))

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        try:
            with transaction(self._engine, writes=writes) as connection:
                yield connection
        except IntegrityError as error:
            if guards.MESSAGE in str(error.orig):
                raise RegisterError("The log of the register only grows: nothing was changed.") from error
            # two processes at once: the checks above saw neither
            raise DuplicateEntry(
                "The register already holds this entry.",
                value=str(error.orig),
                next_step="lykta devices and lykta gateway list show what it holds",
            ) from error


def _address(url: str, base: Path | None, password: str | None) -> URL:
    address = resolve_url(url, base)
    return address if password is None else address.set(password=password)
