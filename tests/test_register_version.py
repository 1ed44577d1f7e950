# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a register in a file has changed is told without reading it, whoever changed it."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.keys import new_kek
from provisioning.register.registration import Options, register
from provisioning.register.version import FileVersion
from provisioning.registry import Registry
from tests.register_rig import Place, record

KEK = new_kek()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.create("sqlite:///register.db", KEK, city="Teststad", base=tmp_path) as made:
        yield made


def add(registry: Registry, number: int) -> None:
    with registry.change() as change:
        register(change, registry.keys(), [record(number)], Options())


def test_every_commit_of_anybody_changes_it_and_nothing_else_does(registry: Registry, tmp_path: Path) -> None:
    with Registry.open("sqlite:///register.db", KEK, base=tmp_path) as reader:
        seen = {reader.version()}
        for number in range(1, 4):
            for who in (registry, reader):  # its own changes count, too
                add(who, 2 * number + (who is reader))
                assert reader.version() not in seen
                seen.add(reader.version())
            assert len(reader.devices()) == 2 * number
            registry.city()
            with sqlite3.connect(tmp_path / "register.db") as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            other.close()
            seen.add(reader.version())  # to tidy up is a change to some versions of SQLite: once more is asked
            assert {reader.version() for _ in range(5)} <= seen
        assert None not in seen


def test_another_file_in_its_place_is_a_change_and_none_is_no_answer(registry: Registry, tmp_path: Path) -> None:
    file, copy = tmp_path / "register.db", tmp_path / "copy.db"
    registry.close()
    shutil.copy(file, copy)
    version = FileVersion(file)
    before = version.token()
    assert before is not None
    copy.replace(file)
    restored = version.token()
    assert restored not in (before, None)
    assert version.token() == restored
    file.unlink()
    assert version.token() is None
    file.write_bytes(b"not a database, and longer than the header of one" * 20)
    assert version.token() is None
    version.close()


@pytest.mark.xdist_group("postgres")
def test_a_register_on_a_server_cannot_tell(database: Place) -> None:
    with database.create() as registry:
        assert (registry.version() is None) == (not database.url.startswith("sqlite"))
