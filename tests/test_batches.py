# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Batches: what waited shares a frame, comes back as it was, and a gateway that does not know them gets it all too."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bench_payload
from firmware.node import batching, lazy
from firmware.node import delivery as deliveries
from firmware.node.delivery import Delivery
from firmware.node.queue import ReadingQueue
from firmware.node.segments import TIME_UNIX, Record
from firmware.wire import batch, cbor, kinds, readings
from firmware.wire.errors import Malformed
from gateway.records.reading import decode
from tests import half_byte_batches
from tests.power import TornFiles

SLOWEST_BYTES = 51
NUMBERS = st.integers(-(2**32 - 1), 2**32 - 1) | st.integers(-40, 40)
FIELDS = st.dictionaries(st.integers(3, 30) | st.just(112), NUMBERS, max_size=9)
TRUTHS = st.dictionaries(st.integers(31, 40), st.booleans(), max_size=3)


@st.composite
def series(draw: st.DrawFn) -> list[dict[int, int | bool]]:
    key = draw(st.sampled_from([None, readings.KEY_TIME, readings.KEY_AGE]))
    seqs = draw(st.sets(st.integers(1, 2**32 - 1) | st.integers(1, 50), min_size=1, max_size=8))
    found: list[dict[int, int | bool]] = []
    for seq in sorted(seqs):
        item: dict[int, int | bool] = {readings.KEY_SEQ: seq}
        if key is not None:
            item[key] = draw(st.integers(0, 2**32 - 1) | st.integers(1_800_000_000, 1_800_010_000))
        found.append(item | draw(FIELDS) | draw(TRUTHS))
    return found


@given(series())
def test_what_boards_wrote_before_is_read_too(items: list[dict[int, int | bool]]) -> None:
    made = half_byte_batches.batch(items, cbor.dumps, 255, 0)
    if made is not None:
        found, oldest = readings.unpack_payload(made[0] + cbor.dumps(1))
        assert (found, oldest) == (items[: made[1]], 1)


@given(series(), st.integers(0, 255))
def test_what_was_put_in_comes_out_and_it_fits(items: list[dict[int, int | bool]], room: int) -> None:
    made = batching.batch(items, cbor.dumps, room, 0)
    if made is not None:
        data, count, rest = made
        assert len(data) <= room
        assert rest == (items[count][readings.KEY_SEQ] if count < len(items) else 0)
        assert batching.batch(items, cbor.dumps, room, count) is None
        found = batch.batched_maps(cbor.loads(data))  # type: ignore[arg-type]
        assert found == items[:count]
        assert [[type(value) for _, value in sorted(item.items())] for item in found] == [
            [type(value) for _, value in sorted(item.items())] for item in items[:count]
        ]


@given(st.binary(max_size=60))
def test_anything_is_refused_or_the_only_form(data: bytes) -> None:
    try:
        found = batch.batched_maps(data)
    except Malformed:
        return
    writer = batching if data[0] >> 4 >= batch.FORM else half_byte_batches
    assert writer.batch(found, cbor.dumps, 255, 0) == (cbor.dumps(data), len(found), 0)


def test_a_batch_stands_among_other_readings() -> None:
    made = batching.batch([{0: 5, 1: 1_800_000_000, 3: 40}, {0: 6, 1: 1_800_001_800, 3: 41}], cbor.dumps, 100, 1)
    assert made is not None
    payload = readings.pack([cbor.dumps({0: 4}), made[0]], 4)
    found = decode(bytes(8), "waste_bin", payload, 1_800_002_000.0)
    assert ([each.seq for each in found.readings], found.oldest) == ([4, 5, 6], 4)
    assert found.readings[2].values == {"fill_pct": 41}
    assert readings.unpack_payload(made[0])[1] is None
    assert [each.seq for each in decode(bytes(8), "waste_bin", made[0], 1_800_002_000.0).readings] == [5, 6]
    with pytest.raises(Malformed):
        readings.unpack_payload(cbor.dumps(b"\xff"))


def week(kind: str) -> list[tuple[int, bytes]]:
    """Some of a simulated week, as it lies on flash."""
    module = kinds.load(kind)
    found = bench_payload.json.loads(bench_payload.WEEK.read_text())["series"][kind][:48]
    return [(time_s, readings.encode_reading(module, 0, values)) for time_s, values in found]


def encode(record: Record) -> bytes:
    item = cbor.loads(record.body)
    assert isinstance(item, dict)
    return cbor.dumps(item | {readings.KEY_SEQ: record.seq, readings.KEY_TIME: record.t})


class Backlog:
    """A delivery with a week that nobody has heard of yet, and a gateway; *modern*: it knows batches."""

    def __init__(self, kind: str, seed: int, modern: bool = True) -> None:
        self.queue = ReadingQueue(TornFiles(random.Random(seed)), "queue", 1 << 20)
        for time_s, body in week(kind):
            self.queue.append(1, TIME_UNIX, time_s, body)
        self.delivery = Delivery(self.queue, encode, 8, 1000, 9000, lambda ms: ms)
        self.held: dict[int, object] = {}
        self.frames = self.now = self.batches = 0
        self._modern = modern

    def run(self) -> None:
        while self.queue.held():
            assert self.frames < 300
            for payload in self._frames():
                assert len(payload) <= SLOWEST_BYTES
                self._take(payload)
            self.now += max(1, self.delivery.wait_ms(self.now))

    def _frames(self) -> Iterator[bytes]:
        while (payload := self.delivery.next_frame(self.now, SLOWEST_BYTES)) is not None:
            self.frames += 1
            yield payload

    def _take(self, payload: bytes) -> None:
        batched = any(isinstance(item, bytes) for item in cbor.loads_sequence(payload, 2, 256))
        self.batches += batched
        if batched and not self._modern:
            return  # malformed to it: it says nothing
        items, oldest = readings.unpack_payload(payload)
        for item in items:
            assert isinstance(item, dict)
            self.held[item[0]] = item
        if oldest is not None:
            base = oldest - 1
            while base + 1 in self.held:
                base += 1
            self.delivery.on_receipt(base, [seq for seq in sorted(self.held) if seq > base][:200])


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("kind", sorted(bench_payload.TYPICAL))
def test_a_backlog_arrives_whole_at_the_slowest_rate(
    kind: str, modern: bool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(lazy.gc, "collect", lambda: 0)  # of all that this process holds
    backlog = Backlog(kind, seed, modern)
    backlog.run()
    assert [backlog.held[seq] for seq in sorted(backlog.held)] == [
        cbor.loads(encode(Record(seq + 1, 1, TIME_UNIX, time_s, body))) for seq, (time_s, body) in enumerate(week(kind))
    ]
    assert backlog.batches
    if modern:
        assert len(backlog.held) / backlog.frames > {"waste_bin": 5, "street_light": 4, "traffic": 2.8}[kind]


def test_without_memory_for_it_readings_go_side_by_side(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    class Full:
        def __init__(self, *_names: str) -> None:
            raise MemoryError

    monkeypatch.setattr(deliveries, "borrowed", Full)
    backlog = Backlog("waste_bin", seed)
    backlog.run()
    assert len(backlog.held) == len(week("waste_bin"))
    assert not backlog.batches


@pytest.mark.parametrize(("kind", "least"), [("street_light", 4), ("waste_bin", 7), ("traffic", 3)])
def test_how_many_readings_of_a_week_share_the_smallest_frame(kind: str, least: int) -> None:
    room = SLOWEST_BYTES - len(cbor.dumps(bench_payload.SEQ))
    frames = bench_payload.batched(kind, room)["frames"]
    assert isinstance(frames, dict)
    assert min(int(count) for count in frames) >= least
