# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An older register becomes a present one without loss, in one step or not at all; both ways end in the same tables."""

import json
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from provisioning.database import open_engine, resolve_url, transaction
from provisioning.errors import AlreadyExists, ProvisioningError, RegisterError
from provisioning.register import heads, log, migrate, tables
from provisioning.registry import Registry
from tests.register_rig import Place

pytestmark = pytest.mark.xdist_group("postgres")
VECTORS = Path(__file__).parent / "vectors" / "register"
KNOWN = json.loads((VECTORS / "version-1.json").read_text())
KEK = KNOWN["kek"].encode()


def _old(place: Place) -> None:
    """Put a register of version 0.1.0 in place."""
    script = (VECTORS / "version-1.sql").read_text()
    if place.url.startswith("sqlite"):
        connection = sqlite3.connect(place.base / "register.db")
        connection.executescript(script)
        connection.close()
        return
    statements = script.replace(" BLOB", " BYTEA").replace("X'", "'\\x").splitlines()
    kept = [line for line in statements if not line.startswith(("--", "BEGIN", "COMMIT"))]
    engine = open_engine(resolve_url(place.url))
    with transaction(engine, writes=True) as connection:
        # A foreign key needs its table first, which SQLite does not mind.
        for statement in sorted("\n".join(kept).split(";\n"), key=lambda each: "credentials" in each[:30]):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def test_nothing_of_an_old_register_is_lost(database: Place) -> None:
    _old(database)
    with pytest.raises(RegisterError, match="older version") as refused:
        Registry.open(database.url, KEK, base=database.base)
    assert "lykta upgrade" in refused.value.next_step
    before, after, backup = migrate.upgrade(database.url, base=database.base, actor="test")
    assert (before, after) == ("0001", tables.HEAD)
    with Registry.open(database.url, KEK, base=database.base) as registry:
        devices = {device.dev_eui.hex(): device for device in registry.devices()}
        assert {eui: registry.app_key(bytes.fromhex(eui)).hex() for eui in devices} == KNOWN["app_keys"]
        assert [devices[eui].name for eui in KNOWN["app_keys"]] == ["lampa 0", "lampa 1", "lampa 2"]
        assert [devices[eui].state for eui in KNOWN["app_keys"]] == ["registered", "registered", "retired"]
        assert all(device.kind == "street_light" for device in devices.values())
        assert devices["70b3d57ed0001234"].join_eui.hex() == "70b3d57ed0000001"
        assert registry.gateways()[0].certificate_sha256 == bytes(range(32))
        assert registry.city() == "Gammelstad"
        with registry.stock() as stock:
            records = {record.dev_eui: record for record in stock.devices()}
        assert {record.id for record in records.values()} == {"LJU-0001", "LJU-0002", "LJU-0003"}
        first = records["70b3d57ed0001234"]
        assert first.need is not None
        assert "Parkförvaltningen, norr" in (first.need.summary or "")
        key = bytes.fromhex(KNOWN["app_keys"]["70b3d57ed0001234"])
        assert first.fingerprint == f"hmac:{registry.keys().fingerprint(key).hex()}"
        with registry.reading() as connection:
            assert log.verify(connection).seq == 4
            heads.check_records(connection)
        assert registry.register_device("street_light").name
        with registry.stock() as stock:
            assert stock.device("LJU-0004") is not None
    if backup is not None:
        with sqlite3.connect(backup) as kept:
            assert kept.execute("SELECT count(*) FROM devices").fetchone() == (3,)
        kept.close()
        assert backup.stat().st_mode & 0o777 == 0o600
    assert migrate.upgrade(database.url, base=database.base, actor="test") == (tables.HEAD, tables.HEAD, None)


def test_migrations_and_a_new_register_lead_to_the_same_tables(database: Place) -> None:
    _old(database)
    migrate.upgrade(database.url, base=database.base, actor="test")
    engine = open_engine(resolve_url(database.url, database.base))
    with transaction(engine, writes=True) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, tables.metadata)
    engine.dispose()
    assert [difference for difference in found if difference[0] != "remove_table"] == []
    assert not [difference for difference in found if difference[0] == "remove_table"], found


def test_an_upgrade_that_fails_changes_nothing(database: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _old(database)

    def fail(*_arguments: object) -> None:
        raise RegisterError("the power went")

    monkeypatch.setattr(migrate, "_adopt", fail)
    with pytest.raises(RegisterError, match="power"):
        migrate.upgrade(database.url, base=database.base, actor="test")
    engine = open_engine(resolve_url(database.url, database.base))
    with transaction(engine, writes=False) as connection:
        assert tables.revision(connection) == "0001"
        assert connection.execute(text("SELECT count(*) FROM schema_version")).scalar_one() == 1
    engine.dispose()
    monkeypatch.undo()
    if database.url.startswith("sqlite"):
        with pytest.raises(AlreadyExists, match="backup"):
            migrate.upgrade(database.url, base=database.base, actor="test")
        next(database.base.glob("register.db.before-*")).unlink()
    assert migrate.upgrade(database.url, base=database.base, actor="test")[1] == tables.HEAD


def test_there_is_nothing_to_upgrade(database: Place) -> None:
    with pytest.raises(ProvisioningError, match="no register"):
        migrate.upgrade(database.url, base=database.base, actor="test")
