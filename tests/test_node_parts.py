# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node's pure parts, one by one: delivery, clock, breaks, twilight, energy, sensor decoding."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.node.aes import aes
from firmware.node.clock import Clock
from firmware.node.delivery import Delivery
from firmware.node.links.breaks import BREAK, MAYBE, NONE, BreakWatch
from firmware.node.queue import ReadingQueue
from firmware.node.roles.energy import EnergyTotal
from firmware.node.roles.twilight import Twilight
from firmware.node.segments import TIME_UNIX, Record
from firmware.node.sensors import bl0942, lm75
from firmware.wire import cbor, cobs, readings
from gateway.network.aes import ecb
from tests.power import TornFiles

TICKS = 1 << 30


def clock_at(ticks: list[int], **options: int) -> Clock:
    """A clock on ticks that wrap at 2^30, as MicroPython's do."""
    return Clock(lambda: ticks[0], lambda a, b: ((a - b + TICKS // 2) % TICKS) - TICKS // 2, **options)


def test_the_clock_counts_on_when_ticks_wrap() -> None:
    ticks = [TICKS - 500]
    clock = clock_at(ticks)
    for expected in range(1000, 5001, 1000):
        ticks[0] = (ticks[0] + 1000) % TICKS
        assert clock.monotonic_ms() == expected


def test_the_clock_knows_utc_only_after_it_was_told() -> None:
    ticks = [0]
    clock = clock_at(ticks, refresh_ms=60_000)
    ticks[0] = 10_000
    assert (clock.unix_s(10), clock.is_set(), clock.due()) == (None, False, True)
    assert clock.set(1_800_000_000_250, 9_000)
    assert (clock.unix_s(9), clock.unix_s(3), clock.due()) == (1_800_000_000, 1_799_999_994, False)
    ticks[0] = 70_000
    assert clock.due()
    assert clock.set(1_800_000_061_500, 70_000)
    assert clock.jump_ms == 250


def test_a_time_before_this_firmware_is_not_believed() -> None:
    clock = clock_at([0])
    assert not clock.set(315_964_800_000, 0)  # the GPS epoch: a network whose own clock is not set
    assert not clock.is_set()


@pytest.mark.parametrize(
    "typed", [b"\x03\x03", b"\r\x03", b"\r\r\x03", b"\x00\x03\x03", b"noise\x00\r\x03", b"\x03\r\x03"]
)
def test_a_break_is_found(typed: bytes) -> None:
    assert BreakWatch().feed(typed, 0) == BREAK
    one_by_one = BreakWatch()
    for i in range(len(typed)):
        one_by_one.feed(typed[i : i + 1], i)
    assert one_by_one.state == BREAK


def test_one_ctrl_c_may_be_a_break_until_more_follows() -> None:
    breaks = BreakWatch()
    assert breaks.feed(b"\x03", 0) == MAYBE
    assert breaks.feed(b"\x42", 10) == NONE
    assert breaks.feed(b"\x03\x03", 20) == NONE  # in the middle of something
    assert breaks.feed(b"\x03\x03", 2000) == BREAK  # after a pause


@given(st.lists(st.sampled_from([0x00, 0x20, 0x40, 0x60, 0x80, 0xA0]), min_size=1), st.randoms())
def test_no_frame_is_taken_for_a_break(headers: list[int], rng: random.Random) -> None:
    line = b"".join(cobs.frame(bytes([header]) + rng.randbytes(rng.randrange(11, 255))) for header in headers)
    breaks = BreakWatch()
    start = 0
    while start < len(line):
        end = start + rng.randrange(1, 64)
        assert breaks.feed(line[start:end], start) != BREAK
        start = end


def test_twilight_has_hysteresis_and_patience() -> None:
    twilight = Twilight()
    assert [twilight.look(lux) for lux in (500, 500, 500)] == [True, True, False]
    assert [twilight.look(lux) for lux in (50, 50, 50, 50)] == [False] * 4
    assert [twilight.look(lux) for lux in (20, 500, 20, 20, 20)] == [False, False, False, False, True]
    assert [twilight.look(lux) for lux in (50, 69, 50, 69)] == [True] * 4


def test_twilight_that_sees_nothing_means_light() -> None:
    twilight = Twilight()
    for _ in range(3):
        twilight.look(900)
    assert [twilight.look(None) for _ in range(5)] == [False] * 4 + [True]


def test_energy_outlives_the_chip_and_the_board() -> None:
    files = TornFiles(random.Random(1))
    total = EnergyTotal(files, "energy", 10.0, 1 << 24)
    assert [total.update(pulses) for pulses in (0, 100, 905)] == [0, 10, 90]
    assert EnergyTotal(files, "energy", 10.0, 1 << 24).update(1000) == 100  # board reset, chip kept counting
    assert EnergyTotal(files, "energy", 10.0, 1 << 24).update(50) == 95  # both were without power


def test_energy_counts_through_the_wrap() -> None:
    total = EnergyTotal(TornFiles(random.Random(1)), "energy", 1.0, 1 << 24)
    total.update((1 << 24) - 10)
    assert total.update(5) == (1 << 24) + 5


@pytest.mark.parametrize(
    ("raw", "celsius"),  # NXP LM75B data sheet rev. 6.1, table 11
    [("7f00", 127.0), ("7ee0", 126.875), ("1900", 25.0), ("0020", 0.125), ("0000", 0.0), ("ffe0", -0.125),
     ("e700", -25.0), ("c920", -54.875), ("c900", -55.0)],
)  # fmt: skip
def test_lm75_reads_as_in_its_data_sheet(raw: str, celsius: float) -> None:
    assert lm75.decode(bytes.fromhex(raw)) == celsius


def bl0942_packet() -> bytes:
    """230 V, 0.25 A, 57.5 W, 12345 pulses, 50 Hz in the data sheet's application circuit."""
    values = (round(0.25 * 251213.46), round(230 * 15883.34), 0, round(57.5 * 623.386), 12345)
    body = (
        b"\x55" + b"".join(value.to_bytes(3, "little") for value in values) + (20000).to_bytes(2, "little") + bytes(4)
    )
    return body + bytes([~(0x58 + sum(body)) & 0xFF])


def test_bl0942_decodes_a_packet_behind_noise() -> None:
    packet = bl0942_packet()
    assert len(packet) == 23
    found = bl0942.find_packet(b"\x55\x00\x12" + packet + b"\x01")
    assert found == packet
    measured = bl0942.decode(found)
    assert measured.voltage_v == pytest.approx(230, rel=1e-4)
    assert measured.current_a == pytest.approx(0.25, rel=1e-4)
    assert measured.power_w == pytest.approx(57.5, rel=1e-4)
    assert measured.pulses == 12345
    assert pytest.approx(623.386 * 3600 / 419430.4, rel=1e-4) == bl0942.Bl0942.pulses_per_wh


@given(st.integers(0, 22), st.integers(1, 255))
def test_a_damaged_bl0942_packet_is_not_used(at: int, change: int) -> None:
    packet = bytearray(bl0942_packet())
    packet[at] ^= change
    assert bl0942.find_packet(bytes(packet)) is None


def test_reversed_current_is_no_negative_power() -> None:
    packet = bytearray(bl0942_packet())
    watt = int.from_bytes(packet[10:13], "little")
    packet[10:13] = ((1 << 24) - watt).to_bytes(3, "little")
    assert bl0942.decode(bytes(packet)).power_w == pytest.approx(57.5, rel=1e-4)


def encode(record: Record) -> bytes:
    return cbor.dumps({0: record.seq, 6: record.t})


class Bench:
    """A delivery with a queue, and a gateway that keeps what reaches it."""

    def __init__(self, rng: random.Random, receipt_every: int = 4) -> None:
        self.queue = ReadingQueue(TornFiles(rng), "queue", 1 << 20)
        self.delivery = Delivery(self.queue, encode, receipt_every, 1000, 9000, lambda ms: ms)
        self.held: set[int] = set()
        self.base = 0
        self.now = 0
        self.frames = 0

    def make(self, count: int = 1) -> None:
        for _ in range(count):
            self.queue.append(1, TIME_UNIX, self.queue.next_seq, b"")

    def step(self, up: bool = True, down: bool = True) -> bool:
        """Let one frame go; return whether there was one. *up*, *down*: does it arrive, does the answer."""
        payload = self.delivery.next_frame(self.now, 100)
        if payload is None:
            return False
        self.frames += 1
        items, oldest = readings.unpack_payload(payload)
        if up:
            self.held |= {item[0] for item in items if isinstance(item, dict)}
            if oldest is not None:
                self.base = max(self.base, oldest - 1)
                while self.base + 1 in self.held:
                    self.base += 1
                if down:
                    self.delivery.on_receipt(self.base, sorted(seq for seq in self.held if seq > self.base)[:200])
        return True

    def wait(self) -> None:
        self.now += max(1, self.delivery.wait_ms(self.now))


def test_without_loss_each_reading_goes_once_and_one_in_four_asks() -> None:
    bench = Bench(random.Random(1))
    for _ in range(40):
        bench.make()
        assert bench.step()
        assert not bench.step()
    assert bench.frames == 40
    assert bench.held == set(range(1, 41))
    assert bench.queue.held() <= 4


def test_a_backlog_is_packed_into_full_frames() -> None:
    bench = Bench(random.Random(1))
    bench.make(80)
    while bench.queue.held():
        if not bench.step():
            bench.wait()
    assert bench.frames < 12


def test_only_what_is_missing_goes_again() -> None:
    bench = Bench(random.Random(1))
    for seq in range(1, 6):  # 1 and 5 ask
        bench.make()
        bench.step(up=seq not in (3, 4))
    assert bench.held == {1, 2, 5}
    assert bench.step()
    assert bench.held == {1, 2, 3, 4, 5}
    assert not bench.step()
    assert (bench.frames, bench.queue.held()) == (6, 0)


def test_what_is_on_its_way_is_not_sent_again_before_the_answer_is_due() -> None:
    bench = Bench(random.Random(1))
    bench.make(4)
    bench.step(down=False)
    assert not bench.step()
    bench.now += 999
    assert not bench.step()
    bench.now += 1
    assert bench.step() is False  # the answer is late; the question waits for its back-off
    bench.now += 1000
    assert bench.step()
    assert bench.delivery.unanswered == 0


def test_questions_without_answers_become_rare() -> None:
    bench = Bench(random.Random(1))
    bench.make(4)
    moments = []
    for _ in range(14):
        while not bench.step(up=False):
            bench.wait()
        moments.append(bench.now)
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 15 * 60 * 1000 + 1000 < 2 * gaps[-1]


def test_neither_old_nor_new_readings_starve_while_nobody_answers() -> None:
    bench = Bench(random.Random(1))
    bench.make(30)
    sent: list[set[int]] = []
    for _ in range(16):
        bench.make(20)
        while True:
            payload = bench.delivery.next_frame(bench.now, 60)
            if payload is not None:
                break
            bench.wait()
        sent.append({item[0] for item in readings.unpack_payload(payload)[0] if isinstance(item, dict)})
        bench.now += 1
    assert sum(1 in seqs for seqs in sent) >= 4
    assert max(max(seqs) for seqs in sent) > 40


@given(st.integers(0, 70), st.integers(0, 70), st.integers(1, 20), st.randoms())
def test_whatever_is_lost_everything_arrives_in_the_end(
    loss_up: int, loss_down: int, receipt_every: int, rng: random.Random
) -> None:
    bench = Bench(rng, receipt_every)
    for _ in range(100):
        if rng.random() < 0.5:
            bench.make(rng.randrange(1, 4))
        if not bench.step(rng.randrange(100) >= loss_up, rng.randrange(100) >= loss_down):
            bench.wait()
    for _ in range(2000):
        if not bench.queue.held():
            break
        if not bench.step(rng.randrange(100) >= loss_up, rng.randrange(100) >= loss_down):
            bench.wait()
    assert bench.queue.held() == 0
    assert bench.held == set(range(1, bench.queue.next_seq))


def test_aes_of_ports_without_cryptolib_is_that_of_the_standard() -> None:
    key = bytes(range(16))  # FIPS 197 appendix C.1
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert aes(key, 1).encrypt(block).hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


@given(st.binary(min_size=16, max_size=16), st.integers(1, 3), st.randoms())
def test_aes_of_ports_without_cryptolib_is_that_of_the_host(key: bytes, blocks: int, rng: random.Random) -> None:
    data = rng.randbytes(16 * blocks)
    assert aes(key, 1).encrypt(data) == ecb(key)(data)
