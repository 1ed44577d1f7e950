# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An outbox that may give up readings: in the stated order, each loss counted, signed, and seen by a consumer."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.errors import Forked
from consumer.verify import Verifier
from firmware.wire import kinds, readings
from gateway import identity
from gateway.outbox import stats
from gateway.outbox.devices import Arrival
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.store import Limits, Outbox
from gateway.records.envelope import Position
from gateway.records.reading import Payload, Rank, decode
from gateway.sealing import EnvelopeSealer
from provisioning import pki
from tests.outbox_rig import PLATFORMS, TestClock, arrival, device, open_outbox, reading, took

CA_KEY = pki.new_key()
CA = pki.create_ca(CA_KEY, "Lyktby")
KEY = pki.new_key()
CERTIFICATE = pki.issue_gateway_certificate(CA_KEY, CA, KEY.public_key(), bytes.fromhex("aabbccddeeff0011"), "gw")
IDENTITY = identity.load("aabbccddeeff0011", pki.private_key_pem(KEY), pki.certificate_pem(CERTIFICATE))


def signing(path: Path, clock: TestClock, platforms: tuple[str, ...] = PLATFORMS, **limits: object) -> Outbox:
    clock.wall = CERTIFICATE.not_valid_before_utc.timestamp() + 3600
    return Outbox(path, EnvelopeSealer(lambda: IDENTITY, clock), platforms, Limits(**limits), clock)  # type: ignore[arg-type]


def verifier() -> Verifier:
    made = Verifier([CA], from_start=True)
    made.add_certificate(pki.certificate_pem(CERTIFICATE))
    return made


def ranked(number: int, seq: int, rank: Rank) -> Arrival:
    return Arrival(device(number), Payload((replace(reading(number, seq), rank=rank),), (), None))


def fill(outbox: Outbox, rng: random.Random, until_lost: int) -> list[Rank]:
    """Store readings of random rank until so many were given up; return their ranks in stream order."""
    ranks: list[Rank] = []
    while outbox.given_up < until_lost:
        for _ in range(50):
            ranks.append(rng.choices(list(Rank), [6, 2, 1, 1])[0])
            outbox.accept([ranked(1, len(ranks), ranks[-1])])
    return ranks


def test_what_is_given_up_is_the_lowest_rank_and_of_that_the_oldest(tmp_path: Path, rng: random.Random) -> None:
    clock = TestClock()
    with closing(signing(tmp_path / "o.db", clock, max_bytes=300_000, when_full="drop", max_batch=1)) as outbox:
        ranks = fill(outbox, rng, 100)
        assert outbox.used_bytes() <= 300_000
        check = verifier()
        left: set[int] = set()
        for row in outbox.read(0, 10**6):
            verified = check.check(row.message)
            left |= {each.seq for each in verified.readings}
            assert bool(verified.lost_because) == (row.readings == 0)
        report = check.report()
        assert (report.missing, report.forks, report.refused) == (0, 0, {})
        assert report.lost == outbox.given_up == len(ranks) - len(left)
        assert not report.clean
    kept = [rank for seq, rank in enumerate(ranks, 1) if seq in left]
    lost = [rank for seq, rank in enumerate(ranks, 1) if seq not in left]
    assert max(lost) <= min(rank for rank in kept if rank != Rank.OPEN or max(lost) == Rank.OPEN)
    oldest_kept = min(seq for seq in left if ranks[seq - 1] == max(lost))
    assert all(seq < oldest_kept for seq in range(1, len(ranks) + 1) if seq not in left and ranks[seq - 1] == max(lost))


def test_alarms_outlive_everything_and_notices_stay_few(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    with closing(signing(path, TestClock(), max_bytes=262_144, when_full="drop", max_batch=1)) as outbox:
        seq = 0
        while outbox.given_up < 2000:
            seq += 1
            outbox.accept([ranked(1, seq, Rank.ALARM if seq % 100 == 0 else Rank.OPEN)])
        rows = outbox.read(0, 10**6)
        check = verifier()
        found = {each.seq for row in rows for each in check.check(row.message).readings}
        assert {each for each in range(1, seq + 1) if each % 100 == 0} <= found
        assert len([row for row in rows if not row.readings]) <= seq // 100 + 1, "neighbouring losses are one notice"
    counted = stats.read(path)
    assert counted.dropped["city"] + counted.waiting["city"] == counted.durable == seq


def test_nothing_is_given_up_unless_the_operator_said_so() -> None:
    assert (Limits().when_full, Limits().max_age_s) == ("refuse", 0)


def test_what_waited_too_long_is_given_up_by_hours_of_use_and_not_by_the_wall_clock(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", TestClock()
    with closing(signing(path, clock, max_age_s=3600, max_batch=1)) as outbox:
        outbox.accept([ranked(1, 1, Rank.ALARM)])
        clock.wall += 10**9
        assert outbox.prune() == 0, "NTP answered, ten years late"
        clock.wall -= 2 * 10**9
        clock.monotonic += 3000
        outbox.accept([ranked(1, 2, Rank.OPEN)])
    clock.monotonic = 0  # the box was switched off: uptime starts again
    with closing(signing(path, clock, max_age_s=3600, max_batch=1)) as outbox:
        clock.monotonic += 500
        assert outbox.prune() == 0
        clock.monotonic += 200
        assert outbox.prune() == 1
        check = verifier()
        notice, rest = (check.check(row.message) for row in outbox.read(0, 9))
        assert (notice.first, notice.last, notice.lost_because) == (1, 1, "too_old")
        assert [each.seq for each in rest.readings] == [2]
        assert outbox.prune() == 0, "a notice does not grow old"


def test_a_platform_that_took_them_gets_no_notice_and_the_other_gets_each_loss_once(tmp_path: Path) -> None:
    clock = TestClock()
    with closing(signing(tmp_path / "o.db", clock, ("city", "state"), max_age_s=10, max_batch=1)) as outbox:
        outbox.accept([arrival(1, *range(1, 11))])
        outbox.published("city", Lanes([[2, 6], [8, END]]), 4)  # 7 and 8 came over the live lane
        clock.monotonic += 20
        outbox.prune()
        rows = outbox.read(0, 99)
        check = verifier()
        told = [(row.row, verified.first, verified.last) for row in rows for verified in [check.check(row.message)]]
        assert told == [(2, 1, 2), (6, 3, 6), (8, 7, 8), (10, 9, 10)], "no notice reaches over an edge"
        waits = [row for row, *_ in told if outbox.lanes("city").waits(row)]
        assert waits == [6, 10]


def test_a_notice_and_what_came_all_the_same_agree(rng: random.Random, tmp_path: Path) -> None:
    """An envelope can be on its way while it is given up: the consumer then has both, in any order."""
    clock = TestClock()
    with closing(signing(tmp_path / "o.db", clock, max_age_s=10, max_batch=2)) as outbox:
        outbox.accept([arrival(1, *range(1, 21))])
        envelopes = [row.message for row in outbox.read(0, 99)]
        clock.monotonic += 20
        outbox.prune()
        (notice,) = [row.message for row in outbox.read(0, 99)]
        outbox.accept([arrival(1, 21)])
        after = outbox.read(0, 99)[-1].message
    for _ in range(20):
        came = rng.sample(envelopes, 4)
        order = [notice, after, *came, *rng.sample(came, 2)]
        rng.shuffle(order)
        check = verifier()
        for message in order:
            check.check(message)
        report = check.report()
        assert (report.missing, report.lost, report.forks, report.duplicates) == (0, 12, 0, 0)
        assert report.readings == 9


def test_a_notice_that_does_not_fit_is_a_fork(tmp_path: Path) -> None:
    clock = TestClock()
    with closing(signing(tmp_path / "a.db", clock, max_age_s=10, max_batch=1)) as outbox:
        outbox.accept([arrival(1, 1, 2, 3)])
        kept = [row.message for row in outbox.read(0, 9)]
        stream = outbox.stream_id
        clock.monotonic += 20
        outbox.prune()
    sealer = EnvelopeSealer(lambda: IDENTITY, clock)
    for messages in (
        [kept[0], sealer.loss(Position(stream, 2, 2, bytes(32)), bytes(32), "x")],
        [kept[2], sealer.loss(Position(stream, 2, 2, b""), bytes(32), "x")],
        [kept[1], sealer.loss(Position(stream, 1, 2, b""), bytes(32), "x")],
        [sealer.loss(Position(stream, 2, 2, b""), bytes(32), "x"), kept[2]],
    ):
        check = verifier()
        check.check(messages[0])
        with pytest.raises(Forked):
            check.check(messages[1])
        assert check.report().forks == 1


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=25))
def test_every_record_is_an_envelope_or_in_a_notice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int]]
) -> None:
    clock = TestClock()
    with closing(signing(tmp_path_factory.mktemp("l") / "o.db", clock, max_age_s=50, max_batch=4)) as outbox:
        seq, check = 0, verifier()
        for amount, rank, later_s in steps:
            for _ in range(amount):
                seq += 1
                outbox.accept([ranked(seq % 3, seq, Rank(rank))])
            clock.monotonic += later_s
            outbox.prune()
        for row in outbox.read(0, 10**6):
            check.check(row.message)
        report = check.report()
        assert (report.missing, report.forks, report.refused) == (0, 0, {})
        assert report.readings + report.lost == seq


def test_ranks_follow_the_release_levels_of_the_fields() -> None:
    kind = kinds.load("street_light")
    light = readings.encode_reading(kind, 1, {"lamp_on": True})
    assert decode(device(1), "street_light", light, 0).readings[0].rank == Rank.OPEN
    power = readings.encode_reading(kind, 1, {"lamp_on": True, "temperature_c": 20})
    assert decode(device(1), "street_light", power, 0).readings[0].rank == Rank.INTERNAL
    assert decode(device(1), "street_light", light, 0, alarm=True).readings[0].rank == Rank.ALARM


def test_an_outbox_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((Path(__file__).parent / "vectors" / "outbox_v1.sql").read_text())
    with closing(open_outbox(path)) as outbox:
        assert outbox.lanes("city").spans() == [(1, END)]
        assert [row.row for row in outbox.read(0, 9)] == [1]
        accepted = outbox.accept([arrival(1, 1, 2, 3)])
        assert (accepted.new, accepted.rows[0].row) == (1, 2)
        took(outbox, 2, 1)
    assert stats.read(path).waiting == {"city": 0}
