# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A large session file is checked while it is in use: damage ends the use, and the next start begins anew."""

from pathlib import Path

import pytest

from gateway import late_check
from gateway.errors import StoreCorrupt
from gateway.network.keyring import Keyring
from gateway.network.sessions import Nonces, SessionStore

DEVICES = 2000
PAGE_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(late_check, "AT_START_BYTES", 0)
    found = tmp_path / "sessions.db"
    store = opened(found)
    for number in range(DEVICES):
        store.set_nonces(number.to_bytes(8, "big"), Nonces(number, number))
    store.commit()
    store.close()
    return found


def opened(path: Path) -> SessionStore:
    return SessionStore(path, Keyring(bytes(32)))


def checked(store: SessionStore) -> SessionStore:
    assert store._late is not None
    assert store._late.over.wait(60)
    return store


def test_a_sound_file_is_used_before_and_after_its_check(path: Path) -> None:
    store = opened(path)
    assert store.nonces((7).to_bytes(8, "big")) == Nonces(7, 7)
    store.set_nonces(bytes(8), Nonces(9, 9))
    checked(store).commit()
    store.close()
    again = checked(opened(path))
    assert again.nonces(bytes(8)) == Nonces(9, 9)
    again.close()


def test_damage_that_nobody_came_across_ends_the_use_and_the_next_start_sets_the_file_aside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // PAGE_BYTES // 2 * PAGE_BYTES
    content[middle : middle + PAGE_BYTES] = b"\xff" * PAGE_BYTES
    path.write_bytes(content)
    store = checked(opened(path))
    with pytest.raises(StoreCorrupt, match="damaged"):
        store.commit()
    store.close()
    again = opened(path)
    assert path.with_name("sessions.db.corrupt-1").read_bytes() == content
    assert again.nonces(bytes(8)) == Nonces()
    again.commit()
    again.close()


def test_a_store_that_is_closed_early_does_not_wait_for_its_check(path: Path) -> None:
    store = opened(path)
    store.close()
    checked(store)
