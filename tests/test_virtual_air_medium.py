# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The medium's decisions, in simulated time: who hears which frame."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boards.virtual.air.errors import BadRadioSetting, RadioInUse, StillSending, UnknownRadio
from boards.virtual.air.frames import (
    Channel,
    Event,
    Fate,
    Frame,
    FrameEnded,
    FrameHeard,
    HeaderHeard,
    Modulation,
    PreambleHeard,
)
from boards.virtual.air.link_budget import PathLoss
from boards.virtual.air.medium import Medium

STEADY = PathLoss(shadowing_db=0, fading_db=0, drift_db=0)
NEVER = 10**12
SF7 = Channel(868_100_000, 7, 125_000)
SYMBOL_US = 1024
DATA = bytes(range(20))


def channel(sf: int, freq_hz: int = 868_100_000) -> Channel:
    return Channel(freq_hz, sf, 125_000)


@dataclass
class Bench:
    """One listener at the origin, senders 100 m away: their levels differ by their powers only."""

    medium: Medium

    def send(self, name: str, at_us: int, power_dbm: float = 0, on: Channel = SF7, data: bytes = DATA) -> Frame:
        return self.medium.transmit(name, at_us, Modulation(on), power_dbm, data)

    def hear(self, to_us: int = NEVER) -> list[Event]:
        return self.medium.advance(to_us)

    def heard(self) -> list[tuple[str, bool]]:
        return [(event.frame.sender.id, event.crc_ok) for event in self.hear() if isinstance(event, FrameHeard)]


def bench(demodulators: int = 1, channels: frozenset[Channel] = frozenset({SF7})) -> Bench:
    medium = Medium(1, STEADY)
    medium.add_radio("listener", demodulators=demodulators)
    for index, name in enumerate(("a", "b", "c")):
        medium.add_radio(name, 100 * (-1) ** index, 0)
    medium.listen("listener", 0, channels)
    return Bench(medium)


def test_a_frame_is_heard_in_three_steps_at_their_moments() -> None:
    radio = bench()
    frame = radio.send("a", 10_000)
    preamble, header, heard, ended = radio.hear()
    assert isinstance(preamble, PreambleHeard)
    assert preamble.at_us == 10_000 + 5 * SYMBOL_US
    assert isinstance(header, HeaderHeard)
    assert header.at_us == 10_000 + int((8 + 4.25 + 8) * SYMBOL_US)
    assert isinstance(heard, FrameHeard)
    assert (heard.at_us, heard.data, heard.crc_ok) == (frame.until_us, DATA, True)
    assert isinstance(ended, FrameEnded)
    assert frame.fates == {"listener": Fate.RECEIVED}
    # 0 dBm over 100 m: 128.95 - 23.2 = 105.75 dB; 11.3 dB above the noise of -117 dBm
    assert (round(heard.rssi_dbm), heard.snr_db) == (-105, 11.25)


@pytest.mark.parametrize(
    "other",
    [
        SF7._replace(freq_hz=868_300_000),
        SF7._replace(sf=8),
        SF7._replace(bw_hz=250_000),
        SF7._replace(iq=True),
        SF7._replace(sync=0x12),
    ],
)
def test_other_settings_are_not_heard(other: Channel) -> None:
    radio = bench()
    radio.send("a", 10_000, on=other)
    assert radio.heard() == []


@pytest.mark.parametrize(("symbols", "hears"), [(-3.0, True), (0.0, True), (3.0, True), (3.1, False), (7.0, False)])
def test_a_listener_that_opens_too_late_in_the_preamble_does_not_hear(symbols: float, hears: bool) -> None:
    radio = bench()
    radio.medium.idle("listener", 1)
    frame = radio.send("a", 100_000)
    radio.medium.listen("listener", 100_000 + int(symbols * SYMBOL_US), frozenset({SF7}))
    events = radio.hear()
    assert [event.crc_ok for event in events if isinstance(event, FrameHeard)] == [True] * hears
    assert frame.fates == {"listener": Fate.RECEIVED if hears else Fate.OPENED_LATE}
    if hears:
        assert events[0].at_us == 100_000 + int((max(symbols, 0) + 5) * SYMBOL_US)


def test_a_listener_that_stops_before_the_end_does_not_hear() -> None:
    radio = bench()
    frame = radio.send("a", 10_000)
    radio.medium.idle("listener", frame.until_us - 1)
    assert radio.heard() == []
    assert frame.fates == {"listener": Fate.STOPPED}


def test_half_duplex() -> None:
    radio = bench()
    frame = radio.send("a", 10_000)
    radio.send("listener", frame.until_us - 5_000)
    radio.send("b", 500_000)  # and it does not listen again by itself
    assert radio.heard() == []
    radio.medium.listen("listener", NEVER, frozenset({SF7}))
    radio.send("b", NEVER + 1)
    assert [event.crc_ok for event in radio.hear(2 * NEVER) if isinstance(event, FrameHeard)] == [True]


def test_a_gateway_listens_on_after_sending() -> None:
    medium = Medium(1, STEADY)
    medium.add_radio("gateway", demodulators=8, resumes=True)
    medium.add_radio("a", 100, 0)
    medium.listen("gateway", 0, frozenset({SF7}))
    sent = medium.transmit("gateway", 50_000, Modulation(SF7._replace(iq=True)), 14, DATA)
    lost = medium.transmit("a", 60_000, Modulation(SF7), 14, DATA)
    kept = medium.transmit("a", sent.until_us + 40_000, Modulation(SF7), 14, DATA)
    medium.advance(NEVER)
    assert lost.fates == {"gateway": Fate.OPENED_LATE}
    assert kept.fates == {"gateway": Fate.RECEIVED}


def test_too_weak_is_decided_by_the_limit_of_the_spreading_factor() -> None:
    # 0 dBm over 100 m arrives 11.28 dB above the noise.
    for sf, limit_db in {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}.items():
        for margin_db, hears in ((0.2, True), (-0.2, False)):
            radio = bench(channels=frozenset({channel(sf)}))
            radio.send("a", 10_000, power_dbm=limit_db - 11.28 + margin_db, on=channel(sf))
            assert radio.heard() == [("a", True)] * hears, (sf, margin_db)


@example(7.0, 51_455, 1)  # found one microsecond before the first one's end
@example(7.0, 51_456, 1)
@given(
    advantage_db=st.floats(-30, 30).filter(lambda number: abs(abs(number) - 6) > 0.01),
    delay_us=st.integers(0, 56_000),
    demodulators=st.sampled_from([1, 8]),
)
def test_of_two_frames_of_one_sf_at_most_the_one_six_db_stronger_survives(
    advantage_db: float, delay_us: int, demodulators: int
) -> None:
    radio = bench(demodulators)
    first = radio.send("a", 10_000, power_dbm=20)
    second = radio.send("b", 10_000 + delay_us, power_dbm=20 + advantage_db)
    assert second.at_us < first.until_us
    heard = radio.heard()
    free_again = second.preamble_end_us - 5 * SYMBOL_US >= first.until_us  # enough preamble is left after the first
    if advantage_db < -6:
        assert ("a", True) in heard
        assert (("b", True) in heard) == free_again
    elif advantage_db > 6:
        assert ("a", True) not in heard
        in_time = second.at_us < first.header_us or demodulators > 1
        just_free = second.at_us + 5 * SYMBOL_US >= first.until_us  # when the stronger one is found
        assert (("b", True) in heard) == (in_time or just_free or free_again)
    else:
        assert [name for name, crc_ok in heard if crc_ok] == (["b"] if free_again else [])


@given(
    sfs=st.lists(st.integers(7, 12), min_size=2, max_size=2, unique=True),
    delay_us=st.integers(0, 50_000),
    advantage_db=st.floats(-15, 15),
)
def test_frames_of_different_sf_are_both_heard(sfs: list[int], delay_us: int, advantage_db: float) -> None:
    radio = bench(8, frozenset(channel(sf) for sf in sfs))
    radio.send("a", 10_000, on=channel(sfs[0]))
    radio.send("b", 10_000 + delay_us, power_dbm=advantage_db, on=channel(sfs[1]))
    assert sorted(radio.heard()) == [("a", True), ("b", True)]


def test_a_much_stronger_frame_of_another_sf_disturbs() -> None:
    radio = bench(8, frozenset({channel(7), channel(9)}))
    radio.send("a", 10_000, on=channel(7), power_dbm=0)
    radio.send("b", 9_000, on=channel(9), power_dbm=18.5)
    assert radio.heard() == [("b", True)]


def test_what_hides_a_preamble_only_at_its_start_does_no_harm() -> None:
    radio = bench()
    first = radio.send("a", 10_000, power_dbm=0)
    second = radio.send("b", first.until_us - 2 * SYMBOL_US, power_dbm=0)
    heard = [event for event in radio.hear() if isinstance(event, FrameHeard | PreambleHeard)]
    assert [event.frame for event in heard] == [first, first, second, second]
    assert heard[2].at_us == first.until_us + 5 * SYMBOL_US
    assert second.fates == {"listener": Fate.RECEIVED}
    assert first.fates == {"listener": Fate.COLLISION}


def test_a_collision_after_the_header_damages_the_data() -> None:
    radio = bench()
    frame = radio.send("a", 10_000)
    radio.send("b", frame.header_us + 1)
    heard = [event for event in radio.hear() if isinstance(event, FrameHeard)]
    assert [event.crc_ok for event in heard] == [False]
    assert heard[0].data != DATA
    assert len(heard[0].data) == len(DATA)
    assert frame.fates == {"listener": Fate.COLLISION}


def test_a_gateway_has_eight_demodulators() -> None:
    channels = [channel(sf, freq) for freq in (868_100_000, 868_500_000) for sf in range(7, 12)]
    radio = bench(8, frozenset(channels))
    for index, on in enumerate(channels[:9]):
        radio.medium.add_radio(f"sender {index}", 100, 0)
        radio.send(f"sender {index}", 10_000 + index, on=on, data=bytes(200))
    fates = [event.frame.fates["listener"] for event in radio.hear() if isinstance(event, FrameEnded)]
    assert fates.count(Fate.RECEIVED) == 8
    assert fates.count(Fate.NO_DEMODULATOR) == 1


def test_a_sender_that_loses_power_breaks_off() -> None:
    radio = bench()
    frame = radio.send("a", 10_000)
    radio.medium.remove_radio("a", frame.until_us - 10_000)
    events = radio.hear()
    assert [event.crc_ok for event in events if isinstance(event, FrameHeard)] == [False]
    assert frame.fates == {"listener": Fate.CUT}
    (ended,) = [event for event in events if isinstance(event, FrameEnded)]
    assert ended.duty.used_us == frame.until_us - 10_000 - frame.at_us
    radio.medium.add_radio("a", 100, 0)
    radio.send("a", NEVER)
    assert [event.crc_ok for event in radio.hear(2 * NEVER) if isinstance(event, FrameHeard)] == [True]


def test_a_sender_that_loses_power_sends_nothing_it_had_planned() -> None:
    radio = bench()
    planned = radio.send("a", 50_000)
    radio.medium.remove_radio("a", 40_000)
    unharmed = radio.send("b", 49_000)
    assert radio.heard() == [("b", True)]
    assert (planned.ends_us, planned.fates) == (planned.at_us, {})
    assert unharmed.fates == {"listener": Fate.RECEIVED}


def test_mistakes_are_refused() -> None:
    medium = bench().medium
    with pytest.raises(RadioInUse):
        medium.add_radio("a")
    with pytest.raises(UnknownRadio):
        medium.idle("nobody", 0)
    for wrong in (SF7._replace(sf=6), SF7._replace(bw_hz=62_500), SF7._replace(freq_hz=868), SF7._replace(sync=256)):
        with pytest.raises(BadRadioSetting):
            medium.listen("a", 0, frozenset({wrong}))
    for modulation, data in (
        (Modulation(SF7, coding_rate=9), b""),
        (Modulation(SF7, preamble=5), b""),
        (Modulation(SF7), bytes(256)),
    ):
        with pytest.raises(BadRadioSetting):
            medium.transmit("a", 0, modulation, 14, data)
    medium.transmit("a", 0, Modulation(SF7), 14, DATA)
    with pytest.raises(StillSending):
        medium.transmit("a", 20_000, Modulation(SF7), 14, DATA)
    assert medium.frame_count == 1


Call = Callable[[Medium], object]


def _listen(name: str, from_us: int, on: Channel, medium: Medium) -> None:
    medium.listen(name, from_us, frozenset({on}))


def _transmit(name: str, at_us: int, on: Channel, power_dbm: float, data: bytes, medium: Medium) -> None:
    medium.transmit(name, at_us, Modulation(on), power_dbm, data)


def _script(rng: random.Random) -> dict[str, list[tuple[int, Call]]]:
    """What each of six radios does, in its own order of time."""
    script: dict[str, list[tuple[int, Call]]] = {}
    for index in range(6):
        name, now_us = f"radio {index}", 0
        script[name] = calls = []
        for _ in range(rng.randrange(3, 12)):
            now_us += rng.randrange(1, 120_000)
            on = Channel(rng.choice([868_100_000, 868_300_000]), rng.choice([7, 7, 8]), 125_000)
            if rng.random() < 0.5:
                calls.append((now_us, partial(_listen, name, now_us, on)))
            else:
                calls.append((now_us, partial(_transmit, name, now_us, on, rng.uniform(-20, 14), rng.randbytes(20))))
                now_us += 200_000  # longer than any frame here
    return script


def _play(order: list[tuple[int, Call]], stepwise: bool, seed: int) -> list[str]:
    medium = Medium(seed)
    for index in range(6):
        medium.add_radio(f"radio {index}", 150.0 * index, 70.0 * (index % 2))
    events: list[Event] = []
    for at_us, call in order:
        if stepwise:
            events += medium.advance(at_us - 1)
        call(medium)
    events += medium.advance(NEVER)
    return [_told(event) for event in events]


def _told(event: Event) -> str:
    frame = event.frame
    fates = sorted((radio_id, fate.value) for radio_id, fate in frame.fates.items())
    told = f"{event.at_us} {type(event).__name__} {frame.sender.id} {frame.nth} {fates}"
    if isinstance(event, FrameHeard):
        told += f" {event.radio} {event.data.hex()} {event.rssi_dbm} {event.snr_db} {event.crc_ok}"
    return told


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_same_seed_same_events_in_whatever_order_the_radios_speak(seed: int) -> None:
    rng = random.Random(seed)
    script = _script(rng)
    in_time = sorted((call for calls in script.values() for call in calls), key=lambda call: call[0])
    told = _play(in_time, True, seed)
    assert _play(in_time, True, seed) == told
    assert _play(in_time, False, seed) == told
    shuffled: list[tuple[int, Call]] = []
    queues = [list(calls) for calls in script.values()]
    while queues := [queue for queue in queues if queue]:  # each radio's own messages stay in order
        shuffled.append(rng.choice(queues).pop(0))
    assert _play(shuffled, False, seed) == told


def test_another_seed_gives_other_levels() -> None:
    levels = set()
    for seed in range(4):
        medium = Medium(seed)
        medium.add_radio("a", 100, 0)
        medium.add_radio("b")
        levels.add(medium.level_dbm(medium.transmit("a", 0, Modulation(SF7), 14, DATA), "b"))
    assert len(levels) == 4


def test_paths_are_reciprocal_and_frames_of_one_path_scatter_little() -> None:
    medium = Medium(5)
    medium.add_radio("a", 300, 400)
    medium.add_radio("b")
    there = [medium.level_dbm(medium.transmit("a", n * 100_000, Modulation(SF7), 14, DATA), "b") for n in range(200)]
    back = [medium.level_dbm(medium.transmit("b", n * 100_000, Modulation(SF7), 14, DATA), "a") for n in range(200)]
    assert sum(there) / 200 == pytest.approx(sum(back) / 200, abs=0.5)
    assert 0.5 < max(there) - min(there) < 10


def test_memory_stays_bounded_over_many_frames() -> None:
    radio = bench()
    last: Frame | None = None
    for n in range(3000):
        last = radio.send("ab"[n % 2], n * 50_000)
        radio.hear(n * 50_000)
    assert last is not None
    seen: set[int] = set()
    waiting = [last]
    while waiting:  # frames that are reachable from the last one
        frame = waiting.pop()
        if frame.number not in seen:
            seen.add(frame.number)
            waiting += frame.overlaps
    assert len(seen) < 10
    assert sum(len(frames) for frames in radio.medium._on_air.values()) < 20
