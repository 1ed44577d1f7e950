# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register: the city's devices with their encrypted keys, and its gateways with their certificates.

Several processes use one register at once: this tool writes it, every gateway reads it. Thread-safe.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from firmware.wire.kinds.terms import names as kind_names
from provisioning import schema
from provisioning.database import open_engine, resolve_url, transaction
from provisioning.entries import Device, Gateway, device_of, gateway_of, moment
from provisioning.errors import (
    DuplicateEntry,
    InvalidIdentity,
    ProvisioningError,
    RegisterError,
    TamperedSecret,
    UnknownDevice,
    UnknownKind,
    WrongKek,
)
from provisioning.identities import check_eui, new_eui
from provisioning.keys import APP_KEY_BYTES, PURPOSE_APP_KEY, PURPOSE_CHECK, KeyBox, new_app_key

__all__ = ["Device", "Gateway", "Registry"]

_CHECK_TEXT = b"lykta"
_MAX_NAME = 128


class Registry:
    """An open register. Make one with `open` or `create`; `close` it, or use it in a `with` block."""

    def __init__(self, engine: Engine, keys: KeyBox) -> None:
        self._engine = engine
        self._keys = keys

    @classmethod
    def open(cls, url: str, kek: bytes, *, base: Path | None = None) -> Registry:
        """Open an existing register; a relative SQLite path is relative to `base`.

        `kek` is what load_secret returns for the KEK. Raises RegisterError where there is no register,
        WrongKek where its keys would not open.
        """
        address = resolve_url(url, base)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
            raise _no_register(address.database or url)
        registry = cls(open_engine(address), KeyBox(kek))
        try:
            registry._check()
        except ProvisioningError:
            registry.close()
            raise
        return registry

    @classmethod
    def create(cls, url: str, kek: bytes, *, city: str, base: Path | None = None) -> Registry:
        """Make the tables of a new register and open it. Refuses a database that already holds one."""
        registry = cls(open_engine(resolve_url(url, base)), KeyBox(kek))
        try:
            registry._create(city)
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
        self._engine.dispose()

    def city(self) -> str:
        """The name of the city."""
        with self._transaction() as connection:
            return str(connection.execute(select(schema.city.c.name)).scalar_one())

    def device(self, dev_eui: bytes) -> Device | None:
        """The device with this DevEUI, None where the register holds none."""
        query = select(schema.devices).where(schema.devices.c.dev_eui == dev_eui.hex())
        with self._transaction() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else device_of(row)

    def devices(self) -> list[Device]:
        """All devices, oldest first."""
        query = select(schema.devices).order_by(schema.devices.c.created_at_s, schema.devices.c.dev_eui)
        with self._transaction() as connection:
            return [device_of(row) for row in connection.execute(query).mappings()]

    def app_key(self, dev_eui: bytes) -> bytes:
        """The 16-byte AppKey of a device. Raises UnknownDevice, or TamperedSecret where it does not open."""
        table = schema.credentials
        query = select(table.c.sealed).where(table.c.dev_eui == dev_eui.hex(), table.c.purpose == PURPOSE_APP_KEY)
        with self._transaction() as connection:
            sealed = connection.execute(query).scalar_one_or_none()
        if sealed is None:
            raise UnknownDevice(
                "No device with this DevEUI is in the register.",
                value=dev_eui.hex(),
                next_step="lykta devices lists the registered ones; lykta register adds one",
            )
        return self._keys.open(PURPOSE_APP_KEY, dev_eui, sealed)

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
        """Add a device. What is left out is chosen: a random local DevEUI and JoinEUI, a random AppKey.

        Raises UnknownKind, InvalidIdentity for an EUI or key no device may have, DuplicateEntry for a
        DevEUI, name or key that the register already holds.
        """
        if kind not in kind_names():
            raise UnknownKind(
                "This kind of device is not known.",
                value=repr(kind),
                next_step=f"choose one of: {', '.join(kind_names())}",
            )
        dev_eui = new_eui() if dev_eui is None else dev_eui
        join_eui = new_eui() if join_eui is None else join_eui
        check_eui(dev_eui, "DevEUI")
        check_eui(join_eui, "JoinEUI")
        key = new_app_key() if app_key is None else app_key
        _check_app_key(key, dev_eui, join_eui)
        device = Device(
            dev_eui=dev_eui,
            join_eui=join_eui,
            kind=kind,
            name=_check_name(f"{kind}-{dev_eui.hex()}" if name is None else name, "device"),
            owner=None if owner is None else _check_name(owner, "owner"),
            state="registered",
            created_at=moment(int(time.time())),
        )
        with self._transaction(writes=True) as connection:
            self._refuse_duplicate(connection, device, key)
            self._insert(connection, device, key)
        return device

    def gateway(self, eui: bytes) -> Gateway | None:
        """The gateway with this EUI, None where the register holds none."""
        query = select(schema.gateways).where(schema.gateways.c.eui == eui.hex())
        with self._transaction() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else gateway_of(row)

    def gateways(self) -> list[Gateway]:
        """All gateways, oldest first."""
        query = select(schema.gateways).order_by(schema.gateways.c.created_at_s, schema.gateways.c.eui)
        with self._transaction() as connection:
            return [gateway_of(row) for row in connection.execute(query).mappings()]

    def add_gateway(
        self, eui: bytes, name: str, *, certificate_pem: str, certificate_sha256: bytes, not_after: datetime
    ) -> Gateway:
        """Add an enrolled gateway. Raises DuplicateEntry for an EUI, name or certificate that is already there."""
        check_eui(eui, "gateway EUI")
        gateway = Gateway(
            eui=eui,
            name=_check_name(name, "gateway"),
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
        with self._transaction(writes=True) as connection:
            self.refuse_known_gateway(eui, name, connection=connection)
            connection.execute(insert(schema.gateways).values(values))
        return gateway

    def refuse_known_gateway(self, eui: bytes, name: str, *, connection: Connection | None = None) -> None:
        """Raise DuplicateEntry when a gateway has this EUI or this name already."""
        if connection is None:
            with self._transaction() as own:
                self.refuse_known_gateway(eui, name, connection=own)
            return
        table = schema.gateways
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
        check = self._keys.seal(PURPOSE_CHECK, b"", _CHECK_TEXT)
        with self._transaction(writes=True) as connection:
            if schema.version(connection) is not None:
                raise DuplicateEntry(
                    "This database already holds a register.",
                    value=self._engine.url.render_as_string(hide_password=True),
                    reason="Making it anew would lose every device key of the city.",
                    next_step="lykta devices shows what it holds",
                )
            schema.create(connection, now_s)
            connection.execute(insert(schema.city).values(name=city, created_at_s=now_s, kek_check=check))

    def _check(self) -> None:
        with self._transaction() as connection:
            found = schema.version(connection)
            if found is None:
                raise _no_register(self._engine.url.render_as_string(hide_password=True))
            if found > schema.VERSION:
                raise RegisterError(
                    "This register was made by a newer version of Lykta.",
                    value=f"version {found}, this tool knows {schema.VERSION}",
                    next_step="install the newer version on this machine too",
                )
            check = connection.execute(select(schema.city.c.kek_check)).scalar_one()
        try:
            self._keys.open(PURPOSE_CHECK, b"", check)
        except TamperedSecret as error:
            raise WrongKek(
                "This is not the key-encryption key of this register.",
                value=self._engine.url.render_as_string(hide_password=True),
                reason="Without the right one no device key opens and no device can join.",
                next_step="point kek in the configuration to the kek file of this city",
            ) from error
        if found < schema.VERSION:
            with self._transaction(writes=True) as connection:
                schema.upgrade(connection, schema.version(connection) or found, int(time.time()))

    def _refuse_duplicate(self, connection: Connection, device: Device, key: bytes) -> None:
        table = schema.devices
        for column, value, what in (
            (table.c.dev_eui, device.dev_eui.hex(), "DevEUI"),
            (table.c.name, device.name, "name"),
        ):
            taken = connection.execute(select(table.c.dev_eui).where(column == value)).scalar_one_or_none()
            if taken is not None:
                raise DuplicateEntry(
                    f"A device with this {what} is already registered.",
                    value=f"{value} (DevEUI {taken})",
                    reason="Readings of two devices under one identity could not be told apart.",
                    next_step="lykta devices shows the registered ones",
                )
        used = select(schema.credentials.c.dev_eui).where(
            schema.credentials.c.fingerprint == self._keys.fingerprint(key)
        )
        other = connection.execute(used).scalar_one_or_none()
        if other is not None:
            raise DuplicateEntry(
                "Another device has the same AppKey.",
                value=f"DevEUI {other}",
                reason="One key per device: whoever opens one device could speak for the other.",
                next_step="leave the key out to be given a random one",
            )

    def _insert(self, connection: Connection, device: Device, key: bytes) -> None:
        created_at_s = int(device.created_at.timestamp())
        connection.execute(
            insert(schema.devices).values(
                dev_eui=device.dev_eui.hex(),
                join_eui=device.join_eui.hex(),
                kind=device.kind,
                name=device.name,
                owner=device.owner,
                state=device.state,
                created_at_s=created_at_s,
            )
        )
        connection.execute(
            insert(schema.credentials).values(
                dev_eui=device.dev_eui.hex(),
                purpose=PURPOSE_APP_KEY,
                sealed=self._keys.seal(PURPOSE_APP_KEY, device.dev_eui, key),
                fingerprint=self._keys.fingerprint(key),
                rotated_at_s=created_at_s,
            )
        )

    @contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        try:
            with transaction(self._engine, writes=writes) as connection:
                yield connection
        except IntegrityError as error:  # two processes at once: the checks above saw neither
            raise DuplicateEntry(
                "The register already holds this entry.",
                value=str(error.orig),
                next_step="lykta devices and lykta gateway list show what it holds",
            ) from error


def _no_register(where: str) -> RegisterError:
    return RegisterError("There is no register here.", value=where, next_step="lykta init makes a new city")


def _check_name(name: str, what: str) -> str:
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise InvalidIdentity(
            f"This is not a name for a {what}: 1 to {_MAX_NAME} printable characters.", value=repr(name[:40])
        )
    return name


def _check_app_key(key: bytes, dev_eui: bytes, join_eui: bytes) -> None:
    """Refuse keys that can be guessed (guidelines SEC-3): repeated, sequential, or made of the EUIs."""
    if len(key) != APP_KEY_BYTES:
        raise InvalidIdentity(f"An AppKey is {APP_KEY_BYTES} bytes.", value=f"{len(key)} bytes")
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    halves = {key[:8], key[8:]}
    derived = {dev_eui, join_eui, dev_eui[::-1], join_eui[::-1]}
    if len(steps) == 1 or key[:8] == key[8:] or halves & derived:
        raise InvalidIdentity(
            "This AppKey can be guessed.",
            reason="It is repeated, counts up, or is made of the DevEUI or JoinEUI that everybody can hear.",
            next_step="leave the key out to be given a random one",
        )
