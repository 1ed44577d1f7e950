# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Cable pulls, power cuts and resets while the shipped node is updated: always a whole version, and it always goes on.

Whatever happens between two versions, one of the two is whole and is what the board boots into. A fault during the
trial undoes the trial; then the same release goes to the board once more.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.bench.package import Package, Purpose, package_for
from provisioning.updates import rollout
from tests import node_rig
from tests.city import wait_until
from tests.node_rig import identity, identity_files
from tests.rollout_rig import Street
from tests.update_cuts import Cables, Trouble, booted, carry, complete, made
from tests.update_rig import board_image

pytestmark = [pytest.mark.apart, pytest.mark.timeout(900)]


def versions() -> tuple[Package, Package]:
    one = package_for("virtual", Purpose("street_light", frozenset({"serial"})))
    return one, replace(one, files={**one.files, "firmware/newer.mpy": one.files["firmware/__init__.mpy"]})


async def interrupted(image: Path, micropython: Path, rng: random.Random, faults: int) -> Trouble:
    """Update the board from one version to the other and back until it has had so many faults."""
    here, other = versions()
    async with Cables(image, micropython) as rig:
        trouble, updates, undone = Trouble(rig, rng, faults), 0, 0
        await rig.until(lambda: rig.server.session is not None and len(rig.server.readings) > 1, "a session")
        troubled = asyncio.create_task(trouble.run([here, other]))
        while trouble.left or not updates:
            job = asyncio.create_task(carry(rig, made(other, updates + 1, here)))
            await asyncio.wait([job, troubled], return_when=asyncio.FIRST_COMPLETED)
            if troubled.done() and troubled.exception() is not None:
                job.cancel()
                await troubled
            ended = await job
            if ended.state == rollout.FAILED:
                assert ended.problem == "unhealthy", ended
                undone += 1
                continue
            here, other, updates = other, here, updates + 1
            assert await rig.runs() in complete(here)
        await troubled
        print(f"{dict(trouble.count)} in {updates} updates; {undone} trials undone")
        assert not rig.server.conflicts
        assert rig.board.state()["misuses"] == 0
        return trouble


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(node_rig, "TIMEOUT_S", 300)
    return board_image(tmp_path, versions()[0], identity_files(identity(queue_bytes=8192, interval_ms=1000)))


def test_an_update_goes_on_whatever_interrupts_it(image: Path, micropython: Path, rng: random.Random) -> None:
    assert asyncio.run(interrupted(image, micropython, rng, 3)).count.total() == 3


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_faults(image: Path, micropython: Path, rng: random.Random) -> None:
    assert asyncio.run(interrupted(image, micropython, rng, 200)).count.total() == 200


class Vandal:
    """Faults on a street whose gateway carries a release: power, cable, reset of a board, or the gateway killed."""

    def __init__(self, street: Street, micropython: Path, rng: random.Random, left: int) -> None:
        self._street, self._micropython, self._rng = street, micropython, rng
        self.left = left
        self.count: Counter[str] = Counter()

    def strike(self, may_run: tuple[Package, Package]) -> None:
        """Once. A board without power would boot into one of these."""
        street, number, kind = (
            self._street,
            self._rng.randrange(2),
            self._rng.choice(["power", "cable", "reset", "kill"]),
        )
        self.left -= 1
        self.count[kind] += 1
        if kind == "power":
            street.board(number, "power_cut", after_flash_operations=self._rng.randrange(1, 90))
            wait_until(lambda: not street.board(number, "state")["powered"], "the cut", 120)
            found = booted(street.image(number), self._micropython)
            assert any(found in complete(each) for each in may_run)
            street.board(number, "power_on")
        elif kind == "cable":
            street.board(number, "unplug")
            time.sleep(self._rng.uniform(0.1, 3.0))
            street.board(number, "replug")
        elif kind == "reset":
            street.board(number, "reset")
        else:
            street.kill_gateway()
            street.start_gateway()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_roll_out_goes_on_whatever_interrupts_boards_and_gateway(
    tmp_path: Path, micropython: Path, rng: random.Random
) -> None:
    here, other = versions()
    street = Street(tmp_path, here)
    vandal, sequence, undone = Vandal(street, micropython, rng, 30), 0, 0
    under_way = (rollout.SENDING, rollout.INSTALLING)
    with street.running():
        while vandal.left:
            sequence += 1
            name = f"number{sequence}"
            file = street.save(made(other, sequence, here, street.key), name)
            street.lykta("update", "plan", file, *(each.dev_eui.hex() for each in street.boards), "--max-failed", "9")
            street.lykta("update", "start", name)
            while not all(each.state in rollout.ENDED for each in street.states(name)):
                if vandal.left and any(each.state in under_way for each in street.states(name)):
                    vandal.strike((here, other))
                time.sleep(rng.uniform(0.1, 4.0))
            failed = [each for each in street.states(name) if each.state == rollout.FAILED]
            assert all(each.problem == "unhealthy" for each in failed), failed
            undone += len(failed)
            if not failed:
                here, other = other, here
    print(f"{dict(vandal.count)} in {sequence} roll-outs to two boards; {undone} trials undone")
