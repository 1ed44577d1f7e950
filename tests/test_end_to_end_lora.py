# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The main job over the air, each part a process: firmware and radio, air, forwarders, daemon, broker, verifier."""

from pathlib import Path

import pytest

from firmware.wire import frame, joining
from provisioning.demo.flash import read_queue
from tests.city import nothing_lost, running, wait_until
from tests.conftest import Mosquitto
from tests.lora_city import FORWARDERS, LoraCity, OnAir

BOARD = "board"
WINDOWS_US = {frame.JOIN_ACCEPT: (5_000_000, 6_000_000), frame.UNCONFIRMED_DOWN: (1_000_000, 2_000_000)}
JOIN_S = 150  # a lost Join-Request is repeated after half a minute on average
pytestmark = [pytest.mark.timeout(300), pytest.mark.apart]


def radio(eui: str) -> str:
    return f"gateway-{eui}"


def window_of(down: OnAir, frames: list[OnAir]) -> int:
    """1 or 2, when the downlink began that many seconds (and five, for a join) after an uplink's end, else 0."""
    gaps = {down.at_us - up.until_us for up in frames if up.sender == BOARD and up.until_us < down.at_us}
    first, second = WINDOWS_US[down.mtype]
    return 1 if first in gaps else 2 if second in gaps else 0


def receipts_heard(city: LoraCity) -> list[OnAir]:
    """Downlinks with a payload that reached the board, after the Join-Accept."""
    downs = [each for each in city.on_air() if each.sender == radio(FORWARDERS[0]) and BOARD in each.heard_by]
    return [down for down in downs[1:] if frame.decode_data(down.phy).fport is not None]


def heard_by_both(city: LoraCity) -> list[OnAir]:
    both = frozenset(map(radio, FORWARDERS))
    return [each for each in city.on_air() if each.sender == BOARD and each.heard_by == both]


def test_a_reading_over_the_air_becomes_a_verified_record(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running(LoraCity(tmp_path, mosquitto.port, seed=seed)) as city:
        city.start_all()
        wait_until(lambda: len(city.verified_seqs()) >= 4, "verified readings", JOIN_S)
        wait_until(lambda: len(receipts_heard(city)) >= 2, "receipts that reach the board", 100)
        assert city.verified()[-1]["dev_eui"] == city.dev_eui
        nothing_lost(city)
        frames = city.on_air()
        ups = [each for each in frames if each.sender == BOARD and each.whole]
        downs = [each for each in frames if each.sender == radio(FORWARDERS[0])]
        assert ups[0].mtype == frame.JOIN_REQUEST
        assert joining.decode_join_request(ups[0].phy).dev_eui.hex() == city.dev_eui
        heard = [down for down in downs if BOARD in down.heard_by]
        assert heard[0].mtype == frame.JOIN_ACCEPT
        receipts = receipts_heard(city)
        assert all(window_of(down, frames) for down in (heard[0], receipts[0]))
        assert read_queue(city.image).receipted > 0  # the board understood it


def test_a_power_cut_resumes_the_session(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    with running(LoraCity(tmp_path, mosquitto.port, seed=seed)) as city:
        city.start_all()
        wait_until(lambda: len(city.verified_seqs()) >= 2, "the first readings", JOIN_S)
        joins, joined = city.joins(), city.log("gateway").count('"joined"')
        for _ in range(2):
            before = max(city.verified_seqs())
            city.board("power_cut")
            city.board("power_on")
            wait_until(lambda before=before: max(city.verified_seqs()) > before + 1, "readings after the power cut")
        assert city.joins() == joins
        assert city.log("gateway").count('"joined"') == joined
        nothing_lost(city)
        numbers = [frame.decode_data(each.phy).fcnt16 for each in city.on_air() if each.sender == BOARD and each.mtype]
        assert numbers == sorted(numbers)  # no counter was used for two different frames
        contents = {each.phy for each in city.on_air() if each.sender == BOARD and each.mtype}
        assert len(set(numbers)) == len(contents)


def test_two_forwarders_hear_a_frame_and_one_reading_comes_of_it(
    tmp_path: Path, mosquitto: Mosquitto, seed: int
) -> None:
    with running(LoraCity(tmp_path, mosquitto.port, forwarders=2, seed=seed)) as city:
        city.start_all()
        wait_until(lambda: len(city.verified_seqs()) >= 5, "verified readings", JOIN_S)
        wait_until(lambda: len(heard_by_both(city)) >= 3, "frames that both hear", 100)
        both = frozenset(map(radio, FORWARDERS))
        nothing_lost(city)
        heard_twice = heard_by_both(city)
        twice = len(heard_twice) - 1  # the last one may be cut off with the board
        wait_until(lambda: city.counted("frames", "heard_copy") >= twice, "the copies' count")
        wait_until(lambda: city.counted("readings", "new") == city.stats()["durable"], "the readings' count")
        downs = [each for each in city.on_air() if each.sender in both]
        answered = [each.phy for each in downs]
        assert len(answered) == len(set(answered))  # each answer left by one of them only
