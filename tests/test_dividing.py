# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, shared out among workers and brought together again: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway import config as config_file
from gateway import division
from gateway.config import Config
from gateway.dividing import divide as dividing
from gateway.errors import AlreadyRunning, NotDivided
from gateway.network import state_files
from gateway.network.duty import DutyBudget, Priority, limit_us
from gateway.network.keyring import Keyring
from gateway.network.sessions import SessionStore
from gateway.network.share import of_address, of_device
from gateway.operate.lock import only_one
from gateway.outbox.devices import INSERT, INSERT_PART, DeviceState
from gateway.outbox.receipts import Held
from gateway.outbox.schema import prepare
from gateway.sqlite_files import open_database
from tests.gateway_rig import City
from tests.workers_rig import workers_config

KEK = bytes(32)
EUIS = [bytes.fromhex("70b3d57ed000") + number.to_bytes(2, "big") for number in range(40)]
_TABLES = (
    "nonces",
    "random_nonce",
    "session",
    "session_radio",
    "session_more",
    "downlink",
    "command",
    "command_device",
)


def configured(tmp_path: Path, count: int, platforms: Sequence[str] = ("city",)) -> Config:
    """The configuration of so many workers."""
    folder = tmp_path / "city"
    made = City(folder) if not folder.exists() else None
    if made is not None:
        workers_config(made, 1700, count=2)
        made.registry.close()
    text = (folder / "gateway.toml").read_text()
    begin = text.index("[workers]")
    (folder / "gateway.toml").write_text(text[:begin] + f"[workers]\ncount = {count}\nport = 17000\n")
    loaded = config_file.load(folder / "gateway.toml").config
    wanted = [each for each in loaded.platforms if each.name in platforms]
    return loaded.model_copy(update={"platforms": wanted})


def fill(root: Path, rng: random.Random) -> None:
    """Put the state of one process there: sessions with all that hangs on them, receipts, a record that waits."""
    root.mkdir(mode=0o700)
    store = SessionStore(root / "sessions.db", Keyring(KEK))
    with closing(open_database(root / "outbox.db", prepare)) as outbox:
        for number, dev_eui in enumerate(EUIS):
            address = 1 << 25 | rng.getrandbits(25)
            store.write("INSERT INTO nonces VALUES (?, ?, ?)", dev_eui, number, number + 100)
            store.write("INSERT INTO random_nonce VALUES (?, ?)", dev_eui, number)
            values = number + 50, dev_eui, address, rng.randbytes(60), number + 7, 64, 1
            store.write("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", *values)
            (row,) = store.read("SELECT id FROM session WHERE dev_addr = ?", address)[0]
            store.write("INSERT INTO session_more VALUES (?, ?, ?)", row, number, f'{{"{number}": 1}}')
            store.write(
                "INSERT INTO session_radio VALUES (?, 1, 0, 3, 869525000, 255, ?, 0, 1, NULL, NULL, NULL, 'air', 'x')",
                row, number % 6,
            )  # fmt: skip
            store.put_downlink((dev_eui, 3, bytes([number]), 1, 70, None, 0))
            state = DeviceState(Held(), readings=number, session=bytes(8), fcnt_up=number + 7)
            for seq in range(1, 300 * (number % 3), 2):  # of some so many gaps that they have rows of their own
                state.held.add(seq)
            outbox.execute(INSERT, state.to_row(dev_eui))
            outbox.executemany(INSERT_PART, [(dev_eui, *part) for part in state.held.parts()])
            outbox.execute("INSERT INTO unreadable VALUES (?, ?, x'00', 'why', 1.0)", (dev_eui, number))
        command = "room", bytes(16), bytes(32), "city", "dim", 1.0, 2.0, b"answer"
        store.write("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *command)
        for dev_eui in EUIS[:5]:
            store.write(
                "INSERT INTO command_device VALUES ('room', ?, ?, 1, 'queued', 'street_light', '[]', '{}', 1, NULL, "
                "9.0, 3, x'01', NULL)",
                bytes(16), dev_eui,
            )  # fmt: skip
        store.write("INSERT INTO command_answer (platform, topic, message) VALUES ('city', 'room/00', x'0102')")
        store.commit()
        store.close()
        outbox.execute("INSERT INTO stream VALUES (1, x'0102030405060708', 2, x'aa')")
        outbox.execute("INSERT INTO envelope (stream, first, last, message, digest) VALUES (1, 1, 1, x'01', x'aa')")
    state_files.save(root / "heard.json", {dev_eui.hex(): float(number) for number, dev_eui in enumerate(EUIS)})
    (root / "city.set-aside.jsonl").write_text("{}\n")


def rows(folders: Sequence[Path], name: str, query: str) -> list[tuple[object, ...]]:
    """All rows that some folders hold, in an order of their own."""
    found: list[tuple[object, ...]] = []
    for folder in folders:
        with closing(sqlite3.connect(folder / name)) as database:
            found += database.execute(query).fetchall()
    return sorted(found, key=repr)


def everything(folders: Sequence[Path]) -> dict[str, list[tuple[object, ...]]]:
    """All that belongs to devices, whatever the number of its row."""
    sessions = (
        "SELECT dev_eui, dev_addr, keys, fcnt_up, fcnt_down, confirmed, join_nonce, plan, dr, link FROM session "
        "JOIN session_more ON session_more.session = id JOIN session_radio ON session_radio.session = id"
    )
    queries = {
        "sessions.db": [
            sessions, "SELECT * FROM nonces", "SELECT * FROM random_nonce", "SELECT * FROM command_device",
            "SELECT dev_eui, fport, payload, confirmed, priority, expires_at, tries FROM downlink",
            "SELECT DISTINCT * FROM command", "SELECT platform, topic, message FROM command_answer",
        ],
        "outbox.db": [f"SELECT * FROM {table}" for table in ("device", "gap", "unreadable", "stream", "envelope")],  # noqa: S608
    }  # fmt: skip
    found = {query: rows(folders, name, query) for name, asked in queries.items() for query in asked}
    once = "SELECT DISTINCT * FROM command"
    found[once] = sorted(set(found[once]), key=repr)
    return found


def check_owners(root: Path, count: int) -> None:
    """Each device's rows are with its worker, and its address leads there."""
    routes = division.routes(root)
    for index in range(count):
        folder = division.place(root, count, index + 1)
        for name, table in (
            ("sessions.db", "nonces"),
            ("sessions.db", "downlink"),
            ("outbox.db", "device"),
            ("outbox.db", "gap"),
        ):
            for (dev_eui,) in rows([folder], name, f"SELECT dev_eui FROM {table}"):  # noqa: S608 - constants
                assert of_device(bytes(dev_eui), count) == index  # type: ignore[call-overload]
        for dev_eui, address in rows([folder], "sessions.db", "SELECT dev_eui, dev_addr FROM session"):
            assert of_device(bytes(dev_eui), count) == index  # type: ignore[call-overload]
            assert routes.get(int(str(address)), of_address(int(str(address)), count)) == index
        heard = json.loads((folder / "heard.json").read_text())
        assert all(of_device(bytes.fromhex(each), count) == index for each in heard)


def test_everything_is_shared_out_and_comes_together_again(tmp_path: Path, rng: random.Random) -> None:
    root = tmp_path / "state"
    fill(root, rng)
    before = everything([root])
    for count in (3, 2, 1, 4, 1):
        # The only record is in the first worker's stream, which never ends.
        done = dividing.divide(root, configured(tmp_path, count))
        assert sum(done.sessions) == len(EUIS)
        folders = [division.place(root, count, number if count > 1 else 0) for number in range(1, count + 1)]
        assert everything(folders) == before
        check_owners(root, count) if count > 1 else None
        assert (folders[0] / "city.set-aside.jsonl").is_file()
    assert everything([root]) == before, "what was there before was changed"


def test_a_worker_that_ends_must_have_delivered_everything(tmp_path: Path, rng: random.Random) -> None:
    root = tmp_path / "state"
    fill(root, rng)
    dividing.divide(root, configured(tmp_path, 2))
    second = division.place(root, 2, 2) / "outbox.db"
    with closing(sqlite3.connect(second)) as database, database:
        database.execute("INSERT INTO stream VALUES (1, x'0102030405060709', 2, x'bb')")
        database.execute("INSERT INTO envelope (stream, first, last, message, digest) VALUES (1, 1, 1, x'02', x'bb')")
    with pytest.raises(NotDivided, match="worker-2 would end, and its outbox holds readings that city has not got"):
        dividing.divide(root, configured(tmp_path, 1))
    assert division.read(root) == division.Division(2, "divided-1")
    with closing(sqlite3.connect(second)) as database, database:
        database.execute("INSERT INTO lane (platform, through, readings) VALUES ('city', 1, 1)")
    dividing.divide(root, configured(tmp_path, 1))
    assert division.read(root) == division.Division(1, "divided-2")


def test_nobody_starts_on_a_state_that_is_divided_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir()
    assert division.place(root, 1, 0) == root
    with pytest.raises(
        NotDivided, match=r"one process, and the configuration asks for 2 workers.*lykta-gateway divide"
    ):
        division.place(root, 2, 1)
    with pytest.raises(NotDivided, match="say which: --worker 1 to 2"):
        division.place(root, 2, 0)
    with pytest.raises(NotDivided, match=r"worker 3 is not configured: \[workers\] count is 2"):
        division.place(root, 2, 3)
    dividing.divide(root, configured(tmp_path, 2))
    assert dividing.needed(root, 1)
    assert not dividing.needed(root, 2)
    with pytest.raises(NotDivided, match="2 workers, and the configuration asks for one process"):
        division.place(root, 1, 0)
    with pytest.raises(NotDivided, match="2 workers, and the configuration asks for 3 workers"):
        division.place(root, 3, 3)
    (root / division.MARKER).write_text("{")
    with pytest.raises(NotDivided, match="does not say how the state is divided"):
        division.place(root, 2, 1)


def test_a_running_gateway_is_not_divided(tmp_path: Path, rng: random.Random) -> None:
    root = tmp_path / "state"
    fill(root, rng)
    with only_one(root), pytest.raises(AlreadyRunning):
        dividing.divide(root, configured(tmp_path, 2))
    assert division.read(root) is None


def test_a_division_that_fails_anywhere_changes_nothing(
    tmp_path: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses one of the calls that put something on it, each in turn; then the same again succeeds."""
    root, config = tmp_path / "state", configured(tmp_path, 2)
    fill(root, rng)
    before, real, calls = everything([root]), os.fsync, 0

    def failing(at: int) -> None:
        def fsync(descriptor: int) -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    for at in (1, 3, 5, 7):
        calls = 0
        failing(at)
        with pytest.raises(OSError, match="No space left"):
            dividing.divide(root, config)
        assert division.read(root) is None
        assert division.place(root, 1, 0) == root
    monkeypatch.setattr(os, "fsync", real)
    dividing.divide(root, config)
    assert everything([division.place(root, 2, number) for number in (1, 2)]) == before


def test_the_airtime_of_all_workers_together_keeps_the_law(tmp_path: Path) -> None:
    """Whatever was spent before a division, what workers may spend after it is what is left."""
    root, now_us, band, freq_hz = tmp_path / "state", 10_000_000_000, 1, 868_300_000
    root.mkdir()
    alone = DutyBudget()
    while alone.book("gw", freq_hz, now_us, 1_000_003, Priority.BACKGROUND):
        pass
    state_files.save_duty(root / state_files.DUTY_FILE, alone, 1000.0, now_us / 1e6)
    band = next(each for _gateway, each, _age, _airtime in alone.save(now_us))
    dividing.divide(root, configured(tmp_path, 3))
    total_us = 0
    for number in (1, 2, 3):
        budget = DutyBudget(3)
        path = division.place(root, 3, number) / state_files.DUTY_FILE
        state_files.restore_duty(path, budget, 1000.0, now_us / 1e6)
        while budget.book("gw", freq_hz, now_us, 1_000_003, Priority.ALARM):
            pass
        total_us += budget.used_us("gw", band, now_us)
    assert limit_us(band) * 0.95 < total_us <= limit_us(band)
