# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A damaged outbox: set aside, its sound rows saved, a new stream begun; never a crash, never silence."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import cbor2
import pytest

from gateway.errors import StoreCorrupt
from gateway.outbox import gaps, stats
from gateway.outbox.recovery import recover
from gateway.sqlite_files import condemn
from tests.outbox_rig import PLATFORMS, arrival, device, open_outbox, published, took


def filled(path: Path, readings: int = 400) -> bytes:
    """Make an outbox of which the first 100 envelopes are published; return its stream id."""
    with closing(open_outbox(path, max_batch=1)) as outbox:
        outbox.accept([arrival(1, *range(1, readings + 1))])
        took(outbox, 100, 100)
        return outbox.stream_id


def test_a_sound_outbox_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    assert recover(path, PLATFORMS) is None, "a first start"
    filled(path)
    before = stats.read(path)
    assert recover(path, PLATFORMS) is None
    assert stats.read(path) == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_what_is_no_database_is_kept_under_another_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "outbox.db"
    for number in (1, 2):
        path.write_bytes(content)
        for sidecar in tmp_path.glob("outbox.db-*"):
            sidecar.unlink()
        recovered = recover(path, PLATFORMS)
        assert recovered is not None
        assert recovered.kept_as == tmp_path / f"outbox.db.corrupt-{number}"
        assert recovered.kept_as.read_bytes() == content
        with closing(open_outbox(path)) as outbox:
            assert outbox.accept([arrival(1, 1)]).new == 1


def test_damaged_pages_cost_their_rows_and_no_others(tmp_path: Path, rng: random.Random) -> None:
    path = tmp_path / "outbox.db"
    old_stream = filled(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        table = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'envelope'").fetchone()[0]
        size = raw.execute("PRAGMA page_size").fetchone()[0]
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        fixed = {row[0] for row in raw.execute("SELECT rootpage FROM sqlite_master")} | {1, 2}
    assert table in fixed
    data = bytearray(path.read_bytes())
    victims = rng.sample([page for page in range(1, pages + 1) if page not in fixed], 3)
    for page in victims:
        data[(page - 1) * size : page * size] = rng.randbytes(size)
    path.write_bytes(data)
    recovered = recover(path, PLATFORMS)
    assert recovered is not None, f"damage to pages {victims} was not noticed"
    assert 0 < recovered.envelopes < 300
    assert recovered.devices == 1
    with closing(open_outbox(path)) as outbox:
        assert outbox.stream_id != old_stream
        *rows, notice = outbox.read(0, 1000)
        assert notice.readings == 0
        assert len(rows) == recovered.envelopes
        assert all(row.row > 100 for row in rows), "what the platform has is not sent again"
        assert outbox.accept([arrival(1, 400, 401)]).new == 1, "receipts go on where they were"
        assert outbox.read(notice.row, 9)[0].readings == 1
    assert stats.read(path).streams[old_stream.hex()] == 400


def test_flipped_bits_in_a_message_are_found_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    old_stream = filled(path, 120)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE envelope SET message = zeroblob(length(message)) WHERE id = 110")
        raw.commit()
    condemn(path)
    recovered = recover(path, PLATFORMS)
    assert recovered is not None
    assert (recovered.envelopes, recovered.devices) == (19, 1)
    assert recover(path, PLATFORMS) is None, "once is enough"
    with closing(open_outbox(path)) as outbox:
        *rows, notice = outbox.read(0, 1000)
        assert 110 not in [row.row for row in rows]
        assert cbor2.loads(notice.message)[1] == [old_stream, 120, 19, 1]
        assert outbox.receipt(device(1)).contiguous == 120


def test_a_new_stream_starts_at_one_with_a_notice_that_another_ended(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"\x00" * 8192)
    recover(path, PLATFORMS)
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, 1, 2)])
        assert published(outbox) == [(device(1), 1), (device(1), 2)]
        assert cbor2.loads(outbox.read(0, 1)[0].message) == [[outbox.stream_id, 1, 1, b""], [b"", 0, 0, None]]
    assert stats.read(path).durable == 2, "a notice is no reading"


def _everything(path: Path) -> tuple[set[bytes], set[int]]:
    """Start as the daemon does, again when damage shows later; return all messages and what a receipt would say."""
    for _ in range(3):
        recover(path, PLATFORMS)
        try:
            with closing(open_outbox(path)) as outbox:
                messages = {row.message for row in outbox.read(0, 10_000) if row.readings}
                receipt = outbox.receipt(device(1))
                outbox.accept([arrival(2, 1)])
                return messages, {*range(1, receipt.contiguous + 1), *receipt.above}
        except StoreCorrupt:
            continue
    raise AssertionError("damage was noticed again after it was repaired")


def with_version_5(path: Path) -> None:
    """Device 1 has 1, 2, 5, 6 and 9; device 2 lost 1 and has 4, 7, 10 up to 229; device 3 has 1 and 2."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript((Path(__file__).parent / "vectors" / "outbox_v5.sql").read_text())


def _holds_as_before(path: Path) -> None:
    with closing(open_outbox(path)) as outbox:
        receipts = [outbox.receipt(device(number)) for number in (1, 2, 3)]
        assert [(each.contiguous, each.above) for each in receipts] == [
            (2, [5, 6, 9]),
            (1, list(range(4, 230, 3))),
            (2, []),
        ]
        assert outbox.counter(device(1)) == (b"session", 7)
        assert outbox.accept([arrival(1, 2, 3, 5), arrival(2, 5, 7, 230, 232), arrival(3, 3)]).new == 5


def test_an_outbox_of_version_5_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with_version_5(path)
    assert recover(path, PLATFORMS) is None
    _holds_as_before(path)
    with closing(open_outbox(path)) as outbox:
        assert outbox.receipt(device(1)).above == [5, 6, 9]
        assert outbox.receipt(device(2)).above == sorted([5, *range(4, 230, 3), 230, 232])
    assert stats.read(path).devices[device(2).hex()].gone == 1
    assert recover(path, PLATFORMS) is None


@pytest.mark.parametrize("taken_over", [False, True], ids=["as it was", "after it was taken over"])
def test_of_a_damaged_outbox_of_version_5_no_device_is_lost(tmp_path: Path, taken_over: bool) -> None:
    path = tmp_path / "outbox.db"
    with_version_5(path)
    if taken_over:
        open_outbox(path).close()
    condemn(path)
    recovered = recover(path, PLATFORMS)
    assert recovered is not None
    assert recovered.devices == 3
    _holds_as_before(path)


def with_many_gaps(path: Path) -> None:
    with closing(open_outbox(path)) as outbox:
        outbox.accept([arrival(1, *range(1, 601, 2)), arrival(2, *range(1, 5)), arrival(3, *range(1, 901, 3))])


@pytest.mark.parametrize(
    "damage", ["DELETE FROM gap WHERE dev_eui = ? AND first > 300", "UPDATE gap SET data = x'0000' WHERE dev_eui = ?"]
)
def test_gaps_that_are_damaged_are_no_receipt_and_cost_their_device_only(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "outbox.db"
    with_many_gaps(path)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute(damage, (device(1),)).rowcount > 0
        raw.commit()
    with closing(open_outbox(path)) as outbox:
        assert outbox.receipt(device(3)).above[:3] == [4, 7, 10]
        with pytest.raises(StoreCorrupt, match="parts of the gaps"):
            outbox.receipt(device(1))
    recovered = recover(path, PLATFORMS)
    assert recovered is not None
    assert recovered.devices == 2
    assert stats.read(path).devices[device(3).hex()].runs_above[-1] == [898, 898]
    with closing(open_outbox(path)) as outbox:
        assert outbox.receipt(device(1)).contiguous == 0
        assert outbox.receipt(device(3)).above == list(range(4, 258, 3))
        assert outbox.accept([arrival(3, 2, 3, 900)]).new == 3
    assert recover(path, PLATFORMS) is None


def test_flipped_bits_anywhere_become_no_receipt_and_no_message(
    tmp_path: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "PART_GAPS", 2)  # some have rows of their own
    path = tmp_path / "outbox.db"
    held = {*range(1, 60), *range(70, 90), 92, 95, 98, 107, 200, 220}
    with closing(open_outbox(path, max_batch=4)) as outbox:
        outbox.accept([arrival(1, *held, oldest=1)])
        took(outbox, 5, 20)
        messages = {row.message for row in outbox.read(0, 1000)}
    sound = path.read_bytes()
    noticed = 0
    for _ in range(40):
        data = bytearray(sound)
        for at in rng.sample(range(len(data)), rng.choice((1, 4, 16))):
            data[at] ^= 1 << rng.randrange(8)
        for old in tmp_path.glob("outbox.db*"):
            old.unlink()
        path.write_bytes(data)
        found, receipted = _everything(path)
        assert found <= messages
        assert receipted <= held, "a receipt for what never came"
        noticed += bool(list(tmp_path.glob("*.corrupt-*")))
    assert noticed > 5
