# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board loses its power and the gateway is killed, again and again, in one run: nothing is lost, nothing reused."""

import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from firmware.wire import frame, joining
from firmware.wire.errors import Malformed
from provisioning.demo.flash import FlashQueue, read_queue
from tests.city import City, running_city, wait_until
from tests.conftest import Mosquitto

POWER_CUTS = int(os.environ.get("LYKTA_POWER_CUTS", "50"))
JOINS_CUT = 5
KILLS = int(os.environ.get("LYKTA_KILLS", "20"))
_PAUSES_S = (0.05, 2.0)  # from inside the boot to well into normal work


def _cut_power_while_joining(city: City) -> None:
    """Nobody answers yet: each life spends a DevNonce, and the cut comes when it is on the line."""
    for _ in range(JOINS_CUT):
        heard = len(city.tap.up)
        wait_until(lambda heard=heard: len(city.tap.up) > heard, "a Join-Request")
        city.board("power_cut")
        city.board("power_on")


def _cut_power(city: City, rng: random.Random) -> None:
    for number in range(POWER_CUTS):
        time.sleep(rng.uniform(*_PAUSES_S))  # the random instant is the point of this test
        # every other cut falls into the middle of a flash operation
        city.board("power_cut", **({"after_flash_operations": rng.randrange(1, 40)} if number % 2 else {}))
        wait_until(lambda: not city.board("state")["powered"], "the power to be cut")
        city.board("power_on")


def _kill_gateway(city: City, rng: random.Random) -> None:
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.3, 4.0))  # as above
        city.kill("gateway")
        city.start_gateway()


def _frames(heard: list[bytes]) -> list[bytes]:
    """What is LoRaWAN: between two zero bytes a console's text may look like a frame to a wire tap."""
    found = []
    for phy in heard:
        with contextlib.suppress(Malformed):
            frame.mtype(phy)
            found.append(phy)
    return found


def _check_counters(city: City) -> None:
    """No DevNonce twice; no frame counter twice under one address, in either direction, with other bytes."""
    up, down = _frames(city.tap.up), _frames(city.tap.down)
    joins = [joining.decode_join_request(phy) for phy in up if frame.mtype(phy) == frame.JOIN_REQUEST]
    assert len(joins) > JOINS_CUT
    assert max(Counter(join.dev_nonce for join in joins).values()) == 1
    for direction in (up, down):
        data = [frame.decode_data(phy) for phy in direction if frame.mtype(phy) >= frame.UNCONFIRMED_UP]
        used = Counter((each.dev_addr, each.fcnt16) for each in data)
        assert data
        assert max(used.values()) == 1, used.most_common(3)
    accepts = [phy for phy in down if frame.mtype(phy) == frame.JOIN_ACCEPT]
    assert len(set(accepts)) == len(accepts)


def _in_parallel(city: City, rng: random.Random, *jobs: Callable[[City, random.Random], None]) -> None:
    """Run the faults at the same time; what goes wrong in one of them fails the test."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(job, city, random.Random(rng.random())) for job in jobs]:
            job.result()


def _end(city: City) -> tuple[set[int], FlashQueue, dict[str, Any]]:
    """Stop everything in order; return what was verified, what the board's flash holds, and the gateway's account."""
    city.stop("board")
    queue = read_queue(city.image)
    wait_until(lambda: city.stats()["waiting"] == {"city": 0}, "the outbox to be empty")
    stats = city.stats()
    wait_until(lambda: len(city.verified_seqs()) >= stats["durable"], "the verifier to have everything")
    verified = city.verified_seqs()
    assert city.stop("gateway") == 0
    assert city.stop("verifier") == 0
    return verified, queue, stats


@pytest.mark.timeout(900)
def test_power_cuts_and_kills_lose_and_repeat_nothing(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    print(f"seed {seed}")
    with running_city(tmp_path, mosquitto.port, interval_ms=100, seed=seed) as city:
        city.start_verifier()
        city.start_board()
        _cut_power_while_joining(city)
        city.start_gateway()
        wait_until(lambda: len(city.verified_seqs()) >= 5, "the first readings")
        _in_parallel(city, random.Random(seed), _cut_power, _kill_gateway)
        before = len(city.verified_seqs())
        wait_until(lambda: len(city.verified_seqs()) > before + 20, "fresh readings after the last fault", 120)
        boots = city.board("state")["boots"]
        verified, queue, stats = _end(city)

        summary = city.summary()
        print(f"{len(verified)} verified, {len(queue.waiting)} on the board, {boots} boots, {summary}")
        missing = set(range(1, max(queue.seqs) + 1)) - verified - queue.waiting
        assert not missing, sorted(missing)[:20]
        assert stats["devices"][city.dev_eui]["gone"] == 0
        assert summary["clean"]
        assert (summary["duplicates"], summary["missing"], summary["forks"]) == (0, 0, 0)
        assert stats["durable"] == len(verified) == summary["readings"]
        assert boots > POWER_CUTS + JOINS_CUT
        _check_counters(city)
