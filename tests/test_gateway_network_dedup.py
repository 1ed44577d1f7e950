# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Copies of one frame become one frame: best reception first, none lost, none twice."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.links import Uplink
from gateway.network import dedup
from gateway.network.dedup import Deduplicator, Verdict, Window
from gateway.radio import Reception
from tests.outbox_rig import TestClock

WINDOW_S = 0.2


def heard(phy: bytes, gateway: int, snr_db: float = 0.0, received_at: float = 0.0, rssi_dbm: float = -90.0) -> Uplink:
    eui = gateway.to_bytes(8, "big")
    reception = Reception(eui, 1000 + gateway, 868_100_000, 7, 125_000, rssi_dbm, snr_db)
    return Uplink("air", eui.hex(), phy, received_at, reception)


def test_the_best_reception_leads_and_all_are_kept() -> None:
    gathering = Deduplicator(WINDOW_S)
    assert gathering.add(heard(b"a", 1, -3.0, received_at=50.0), 10.0) is Verdict.FIRST
    assert gathering.add(heard(b"a", 2, 7.5, received_at=50.1), 10.1) is Verdict.COPY
    assert gathering.add(heard(b"a", 3, 1.0, received_at=50.15), 10.15) is Verdict.COPY
    assert gathering.due_s == 10.0 + WINDOW_S
    assert gathering.take(10.19) == []
    (best,) = gathering.take(10.2)
    assert [each.radio.snr_db for each in (best, *best.others) if each.radio] == [7.5, 1.0, -3.0]
    assert {(each.received_at, each.heard_at_s) for each in (best, *best.others)} == {(50.0, 10.0)}
    assert gathering.due_s is None


def test_equal_signal_is_decided_by_strength_and_a_gateway_counts_once() -> None:
    gathering = Deduplicator(WINDOW_S)
    for gateway, snr_db, rssi_dbm in ((1, 5.0, -100), (2, 5.0, -80), (2, 4.0, -70), (1, 1.0, -60)):
        gathering.add(heard(b"a", gateway, snr_db, rssi_dbm=rssi_dbm), 0.0)
    (best,) = gathering.take(1.0)
    assert [int(each.address, 16) for each in (best, *best.others)] == [2, 1]


def test_a_slow_copy_is_late_and_a_repetition_is_not() -> None:
    gathering = Deduplicator(WINDOW_S)
    gathering.add(heard(b"a", 1), 0.0)
    gathering.take(WINDOW_S)
    assert gathering.add(heard(b"a", 2), 1.4) is Verdict.LATE
    assert gathering.add(heard(b"a", 1), 2.1) is Verdict.FIRST, "a device repeats after RX2, 2 s or later"


def test_what_gathers_is_bounded() -> None:
    gathering = Deduplicator(WINDOW_S)
    total = dedup.MAX_GATHERING + 10
    for number in range(total):
        gathering.add(heard(number.to_bytes(4, "big"), 1), 0.0)
    assert len(gathering.take(0.0)) == 10
    for gateway in range(100):
        gathering.add(heard(b"a", gateway), 0.0)
    *_, last = gathering.take(0.0, everything=True)
    assert len((last, *last.others)) == dedup.MAX_COPIES


@given(
    st.lists(
        st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(1, 4), st.floats(-20, 15), st.integers(0, 600)),
        max_size=60,
    )
)
def test_every_reception_is_in_one_frame_or_late(steps: list[tuple[bytes, int, float, int]]) -> None:
    gathering = Deduplicator(WINDOW_S)
    now_s = 0.0
    first: dict[bytes, float] = {}
    released: list[Uplink] = []
    for phy, gateway, snr_db, passed_ms in steps:
        now_s += passed_ms / 1000
        released += gathering.take(now_s)
        verdict = gathering.add(heard(phy, gateway, snr_db), now_s)
        if verdict is Verdict.FIRST:
            assert now_s - first.get(phy, -9.0) >= dedup.COOLDOWN_S, "one frame came out as two"
            first[phy] = now_s
        else:
            assert now_s - first[phy] < (dedup.COOLDOWN_S if verdict is Verdict.LATE else WINDOW_S)
    released += gathering.take(now_s, everything=True)
    for frame in released:
        qualities = [each.radio.snr_db for each in (frame, *frame.others) if each.radio]
        assert qualities == sorted(qualities, reverse=True)
        assert len({each.address for each in (frame, *frame.others)}) == len(qualities)
    assert len({(each.phy, each.heard_at_s) for each in released}) == len(released)


def test_on_the_loop_frames_leave_by_themselves() -> None:
    async def scenario() -> list[Uplink]:
        released: asyncio.Queue[Uplink] = asyncio.Queue()

        def release(some: list[Uplink]) -> None:
            for each in some:
                released.put_nowait(each)

        window = Window(Deduplicator(0.01), release, _LoopClock())
        window.put(heard(b"a", 1))
        window.put(heard(b"a", 2, 3.0))
        window.put(heard(b"b", 1))
        async with asyncio.timeout(10):
            found = [await released.get(), await released.get()]
        window.put(heard(b"c", 1))
        window.flush()
        return [*found, released.get_nowait()]

    first, second, flushed = asyncio.run(scenario())
    assert (first.phy, len(first.others), second.phy, flushed.phy) == (b"a", 1, b"b", b"c")


class _LoopClock(TestClock):
    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()
