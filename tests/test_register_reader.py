# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway reads the register without SQLAlchemy, and reads there what the tool wrote and reads itself."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from provisioning.errors import RegisterError, UnknownDevice, WrongKek
from provisioning.keys import new_kek
from provisioning.model.commanders import Commander
from provisioning.model.datasets import Dataset
from provisioning.model.organisations import Organisation
from provisioning.model.platforms import Platform
from provisioning.reader import Reader
from provisioning.register import asking, moves, papers, rollout_changes, rollouts
from provisioning.register.address import parse
from provisioning.register.registration import Options, register
from provisioning.register.signing import sign
from provisioning.register.stock import objects
from provisioning.registry import Registry
from provisioning.updates import rollout
from tests import register_rig as rig
from tests.postgres import Postgres

pytestmark = pytest.mark.xdist_group("postgres")
EUIS = [f"70b3d57ed{number:07x}" for number in (1, 2, 3, 9)]


@pytest.fixture
def registry(database: rig.Place) -> Iterator[Registry]:
    """Three devices, one of them retired; papers, people, a roll-out, a gateway's worth of everything."""
    with database.create() as made:
        ciso = rig.fill(made)
        with made.change() as change:
            inputs = [rig.record(1), rig.record(2, batch="B-1", owner={"org_id": "kommunstyrelsen"}), rig.record(3)]
            results = register(change, made.keys(), inputs, Options())
            assert [each.error for each in results] == [None] * 3
            papers.add_paper(change, sign(rig.waiver(1), "ciso-1", ciso.key))
            papers.add_paper(change, sign(rig.waiver(2, scope={"batch_id": "B-1"}), "ciso-1", ciso.key))
            key = rig.person("room").holder.public_key
            room = {"id": "room", "name": "the room", "org": "trafiknamnden", "public_key": key, "verbs": ("dim",)}
            days = {"valid_from": rig.day("2026-01-01"), "valid_to": rig.day("2036-01-01")}
            papers.put(change, Commander.model_validate({**room, **days}))
            boards = [rollout.BoardState(EUIS[0], 1), rollout.BoardState(EUIS[1], 2)]
            rollout_changes.plan(change, "spring", (b"signed", b"bundle"), rollout.Gates(), {"kind": "traffic"}, boards)
            moves.retire(change, "counter 3", by="A. Person")
        made.register_device("street_light", dev_eui=bytes.fromhex(EUIS[3]), app_key=bytes.fromhex("0f" * 15 + "01"))
        yield made


@pytest.fixture
def reader(registry: Registry, database: rig.Place) -> Iterator[Reader]:
    with Reader.open(database.url, database.kek, base=database.base) as opened:
        yield opened


def test_it_says_what_the_tool_says_of_devices_and_keys(registry: Registry, reader: Reader) -> None:
    assert len(reader.devices()) == 4
    assert reader.devices() == registry.devices()
    for eui in (*map(bytes.fromhex, EUIS), bytes(8)):
        assert reader.device(eui) == registry.device(eui)
    assert reader.device(bytes(8)) is None
    alive, retired = bytes.fromhex(EUIS[3]), bytes.fromhex(EUIS[2])
    assert reader.app_key(alive) == registry.app_key(alive) == bytes.fromhex("0f" * 15 + "01")
    for gone in (retired, bytes(8)):
        with pytest.raises(UnknownDevice):
            reader.app_key(gone)
    assert reader.commander("room") == registry.commander("room") is not None
    assert reader.commander("nobody") is None


def test_it_says_what_the_tool_says_to_the_rules(registry: Registry, reader: Reader) -> None:
    def told(of: Registry | Reader) -> list[Any]:
        with of.stock() as stock:
            found: list[Any] = [stock.revision, list(stock.devices()), stock.gateways(), stock.role_holders()]
            found += [list(stock.devices(owner="trafiknamnden")), list(stock.devices(kind="traffic_counter"))]
            found += [list(stock.devices(owner="kommunstyrelsen", kind="traffic_counter"))]
            found += [stock.device("TRK-0001"), stock.device("TRK-9999"), *map(stock.device_by_eui, EUIS)]
            found += [stock.devices_near(59.3301, 18.05, 15.0), stock.devices_near(59.3301, 18.05, 5000.0)]
            found += [stock.devices_at("POLE-2"), stock.devices_on("S-1"), stock.devices_of_batch("B-1")]
            first = stock.device("TRK-0001")
            assert first is not None
            assert first.fingerprint is not None
            found += [stock.devices_with(first.fingerprint), stock.organisations(), stock.organisation("trafiknamnden")]
            found += [stock.platforms(), stock.platform("INT-01"), stock.platform("INT-02")]
            found += [stock.waivers(), stock.waivers(device_id="TRK-0001"), stock.waivers(batch_id="B-1")]
            found += [stock.waivers(device_id="TRK-0001", batch_id="B-1"), stock.dialogues(), stock.approvals()]
            found += [stock.approvals(platform_id="INT-01"), stock.waivers(device_id="TRK-0002")]
            found += [objects(stock.connection, model) for model in (Organisation, Platform, Dataset, Commander)]
        return found

    said = told(reader)
    assert said == told(registry)
    assert len(said[1]) == 4
    assert max(len(each) for each in said if isinstance(each, list)) == 4
    assert [] in said


def test_a_gateway_notes_what_a_board_did(registry: Registry, reader: Reader) -> None:
    with reader.reading() as mine, registry.reading() as theirs:
        assert rollouts.every(mine) == rollouts.every(theirs) != []
        assert rollouts.boards(mine, "spring") == rollouts.boards(theirs, "spring")
        assert rollouts.release(mine, "spring") == (b"signed", b"bundle")
        assert rollouts.find(mine, "autumn") is None
    (first, second) = rollouts_of(reader)
    noted = rollout.BoardState(first.dev_eui, 7, rollout.SENDING, "slow", 512, "aabbccddeeff0011", 1_800_000_000)
    rollouts.note(reader, "spring", [noted])
    with registry.reading() as connection:
        found = rollouts.boards(connection, "spring")
    assert (found[0].state, found[0].have, found[0].gateway) == (rollout.SENDING, 512, "aabbccddeeff0011")
    assert (found[0].wave, found[1]) == (1, second), "a gateway changes no wave, and no other board"


def rollouts_of(reader: Reader) -> list[rollout.BoardState]:
    with reader.reading() as connection:
        return rollouts.boards(connection, "spring")


def test_a_reader_sees_one_state_and_writes_nothing_in_it(registry: Registry, reader: Reader) -> None:
    count = "SELECT count(*) AS devices FROM devices"
    with reader.reading() as connection:
        before = asking.rows(connection, count)[0]["devices"]
        registry.register_device("street_light")
        assert asking.rows(connection, count)[0]["devices"] == before
    assert len(reader.devices()) == before + 1


def test_many_threads_ask_at_once(reader: Reader) -> None:
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(30):
            found = reader.device(bytes.fromhex(EUIS[0]))
            if found is None or found.name != "counter 1":
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_failed_question_leaves_the_next_one_alone(reader: Reader) -> None:
    for _ in range(4):
        with pytest.raises(RegisterError, match="cannot be"), reader.reading() as connection:
            asking.rows(connection, "SELECT nothing FROM nowhere")
        with pytest.raises(ZeroDivisionError), reader.reading():
            raise ZeroDivisionError
    assert len(reader.devices()) == 4


def test_another_key_another_revision_and_no_register_are_refused(registry: Registry, database: rig.Place) -> None:
    with pytest.raises(WrongKek):
        Reader.open(database.url, new_kek(), base=database.base)
    for found, told in (("0001", "older version"), ("9999", "newer version")):
        with registry.noting() as connection:
            asking.do(connection, "UPDATE alembic_version SET version_num = :found", found=found)
        with pytest.raises(RegisterError, match=told):
            Reader.open(database.url, database.kek, base=database.base)


def test_an_empty_database_is_no_register(postgres: Postgres, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    for url in (postgres.url(), "sqlite:///empty.db", "sqlite:///missing.db"):
        with pytest.raises(RegisterError, match="There is no register here"):
            Reader.open(url, new_kek(), base=tmp_path)


def test_a_server_that_is_away_and_a_file_that_is_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match="cannot be used") as away:
        Reader.open("postgresql://lykta:hidden@127.0.0.1:1/register", new_kek())
    assert "hidden" not in str(away.value.lines())
    (tmp_path / "text.db").write_text("this is no database at all" * 100)
    with pytest.raises(RegisterError, match="cannot be read"):
        Reader.open("sqlite:///text.db", new_kek(), base=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///register.db",
        "sqlite:////var/lib/lykta/register.db",
        "postgresql://lykta@db.example.org/register",
        "postgresql+psycopg://lykta:s%40cret%2F@db.example.org:5433/register?sslmode=verify-full&connect_timeout=3",
        "postgresql://[2001:db8::1]:5432/register",
        "postgresql:///register?host=/run/postgresql",
    ],
)
def test_an_address_means_what_it_means_to_the_tool(url: str) -> None:
    mine, theirs = parse(url), make_url(url)
    assert mine.backend == theirs.get_backend_name()
    assert (mine.host, mine.port, mine.user, mine.password) == (
        *(theirs.host, theirs.port, theirs.username, theirs.password),
    )
    assert (mine.database, mine.options) == (theirs.database, dict(theirs.query))
    assert "s@cret" not in str(mine)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("register.db", "not a database URL"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("mysql://lykta:hidden@host/register", "cannot be used"),
    ],
)
def test_other_addresses_are_refused_without_their_password(url: str, told: str) -> None:
    with pytest.raises(RegisterError, match=told) as refused:
        parse(url)
    assert "hidden" not in str(refused.value.lines())
