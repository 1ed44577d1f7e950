# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Damage that ends a stream is told, signed, at the beginning of the next one, and a consumer says what is missing."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.report import EndedStream, Report, Verified
from gateway.outbox import endings, stats
from gateway.outbox.recovery import recover
from gateway.outbox.store import Outbox
from gateway.releases.opening import open_envelope
from gateway.sqlite_files import condemn
from tests.outbox_rig import PLATFORMS, TestClock, arrival, device, took
from tests.test_outbox_losses import CERTIFICATE, signing, verifier


def filled(path: Path, clock: TestClock, readings: int, through: int, max_batch: int = 3) -> tuple[str, list[bytes]]:
    """An outbox of which the platform took the envelopes up to an id: the id of its stream, and those messages."""
    with closing(signing(path, clock, max_batch=max_batch)) as outbox:
        for seq in range(1, readings + 1, 7):
            outbox.accept([arrival(1, *range(seq, min(seq + 7, readings + 1)))])
        taken = [row.message for row in outbox.read(0, through)] if through else []
        took(outbox, through, 0)
        return outbox.stream_id.hex(), taken


def condemned(path: Path, *statements: str) -> None:
    """Change the file behind its back, and say that it is damaged."""
    with closing(sqlite3.connect(path)) as raw:
        for statement in statements:
            raw.execute(statement)
        raw.commit()
    condemn(path)


def verified(messages: list[bytes]) -> tuple[list[Verified], Report]:
    """What a consumer says of messages."""
    check = verifier()
    return [check.check(message) for message in messages], check.report()


def rest(outbox: Outbox, through: int = 0) -> list[bytes]:
    return [row.message for row in outbox.read(through, 10**6)]


def test_the_first_notice_names_the_old_stream_and_what_of_it_is_missing(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    old, taken = filled(path, clock, 42, 4)
    condemned(path, "DELETE FROM envelope WHERE id IN (10, 18)")
    recovered = recover(path, PLATFORMS)
    assert recovered is not None
    with closing(signing(path, clock, max_batch=3)) as outbox:
        outbox.accept([arrival(1, 43)])
        assert outbox.stream_id.hex() != old
        found, report = verified(taken + rest(outbox, 4))
        new = outbox.stream_id.hex()
    (said,) = [each for each in found if each.ended is not None]
    seen = {reading.seq for each in found for reading in each.readings}
    assert (said.stream_id, said.first, said.last, said.readings) == (new, 1, 1, [])
    saved = len(seen) - sum(len(each.readings) for each in found[:4]) - 1
    assert said.ended == EndedStream(old, 42, saved, 43 - len(seen))
    assert (report.missing, report.lost, report.ended, report.unknown_ends) == (43 - len(seen), 0, 1, 0)
    assert {stream.stream_id: stream.ended_at for stream in report.streams} == {old: 42, new: None}
    assert not report.clean
    assert (report.forks, report.duplicates, report.refused) == (0, 0, {})
    assert stats.read(path).durable == 43


def test_the_end_of_a_stream_that_is_whole_is_clean_and_no_reading_for_other_platforms(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    filled(path, clock, 20, 0)
    condemned(path)
    assert recover(path, PLATFORMS) is not None
    with closing(signing(path, clock)) as outbox:
        messages = rest(outbox)
        assert [open_envelope(message) for message in messages][-1] == ()
    random.Random(3).shuffle(messages)  # a notice overtakes what was rescued: it is new
    _, report = verified(messages)
    assert (report.readings, report.missing, report.ended, report.clean) == (20, 0, 1, True)


def test_of_what_nobody_can_read_it_says_that_nobody_knows(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    path.write_bytes(b"not a database" * 500)
    assert recover(path, PLATFORMS) is not None
    with closing(signing(path, clock)) as outbox:
        (said,), report = verified(rest(outbox))
    assert said.ended == EndedStream("", 0, 0, None)
    assert (report.ended, report.unknown_ends, report.clean) == (1, 1, False)
    assert "nobody knows how many lost" in said.ended.words()


@pytest.mark.parametrize("number", ["9007199254740993", "1"])
def test_a_number_that_damage_changed_is_not_believed(tmp_path: Path, number: str) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    old, _ = filled(path, clock, 20, 0)
    condemned(path, f"UPDATE stream SET next_record = {number}")  # noqa: S608 - ours
    recovered = recover(path, PLATFORMS)
    assert recovered is not None
    assert (recovered.ended.stream_id.hex(), recovered.ended.last, recovered.ended.lost) == (old, 20, None)


def test_a_notice_that_cannot_be_signed_is_the_first_that_is_when_it_can(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    old, _ = filled(path, clock, 5, 0)
    condemned(path)
    recover(path, PLATFORMS)
    with closing(signing(path, clock)) as before:
        assert len(rest(before)) == 3, "two envelopes and a notice"
    condemned(path, "DELETE FROM envelope WHERE rank = 10", "UPDATE ended SET told_in = 0, records = 0")
    clock.wall = (CERTIFICATE.not_valid_after_utc + timedelta(days=1)).timestamp()
    ended = clock.wall
    recover(path, PLATFORMS)
    clock.wall = CERTIFICATE.not_valid_before_utc.timestamp()

    class Late(TestClock):
        def wall_s(self) -> float:
            return late[0]

    late = [ended]
    with closing(signing(path, Late())) as outbox:
        assert len(rest(outbox)) == 2
        late[0] = CERTIFICATE.not_valid_before_utc.timestamp() + 60
        rows = outbox.accept([arrival(1, 6)]).rows
        assert [row.readings for row in rows] == [0, 0, 1], "it goes to the platforms with what came first"
        found, _ = verified([row.message for row in rows])
    said = [each.ended for each in found if each.ended is not None]
    assert said[0] is not None
    assert said[0].stream_id == old
    assert [each.first for each in found] == [1, 2, 3]


_DAMAGES: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: f"DELETE FROM envelope WHERE id % {rng.randrange(2, 9)} = 0",  # noqa: S608 - ours
    lambda rng: f"UPDATE envelope SET message = zeroblob(40) WHERE id > {rng.randrange(30)}",  # noqa: S608 - ours
    lambda rng: "DELETE FROM device",
    lambda rng: "DELETE FROM lane",
    lambda rng: "DELETE FROM sqlite_sequence",
    lambda rng: "DELETE FROM ended",
)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 8))
def test_whatever_is_damaged_however_often_no_stream_ends_without_a_word(seed: int, times: int, through: int) -> None:
    rng, clock = random.Random(seed), TestClock()
    with TemporaryDirectory() as folder:
        path, arrived, streams, seq = Path(folder) / "o.db", list[bytes](), list[str](), 1
        for _ in range(times):
            with closing(signing(path, clock, max_batch=3)) as outbox:
                for _ in range(4):
                    outbox.accept([arrival(1, *range(seq, seq + 5))])
                    seq += 5
                lanes = outbox.lanes("city").through
                rows = outbox.read(lanes, through)
                arrived += [row.message for row in rows]
                took(outbox, rows[-1].row if rows else lanes, 0)
                streams.append(outbox.stream_id.hex())
            condemned(path, rng.choice(_DAMAGES)(rng))
            recover(path, PLATFORMS)
        with closing(signing(path, clock)) as outbox:
            arrived += rest(outbox, outbox.lanes("city").through)
        found, report = verified(arrived)
        ends = {each.ended.stream_id: each.ended for each in found if each.ended is not None}
        assert streams[-1] in ends, "the last one that ended is always named"
        assert (report.forks, report.refused) == (0, {})
        got = {reading.seq for each in found for reading in each.readings}
        assert got <= set(range(1, seq))
        last = ends[streams[-1]]
        assert last.lost is None or 0 <= last.lost <= 20 + times, "readings, and notices of ends before"
        if report.clean:
            assert got == set(range(1, seq)), "clean, and something is missing"


def test_an_untold_end_is_found_by_what_opens_the_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    filled(path, clock, 5, 0)
    condemned(path)
    recover(path, PLATFORMS)
    with closing(sqlite3.connect(path)) as raw:
        assert endings.untold(raw)
    with closing(signing(path, clock)) as outbox:
        assert outbox.receipt(device(1)).contiguous == 5
    with closing(sqlite3.connect(path)) as raw:
        assert not endings.untold(raw)
