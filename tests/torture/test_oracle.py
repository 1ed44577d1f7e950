# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Random faults against the running daemon, judged by a record of what its devices were told.

Every acknowledged reading arrives; every arrived reading was sent; contents are equal; an idempotent consumer sees no
duplicate; after the faults a fresh reading passes soon. LYKTA_TORTURE_S: how long; LYKTA_TORTURE_SEED: one episode.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.torture.oracle import judge
from tests.torture.world import FAULTS, World

LASTS_S = float(os.environ.get("LYKTA_TORTURE_S", "10"))
FRESH_WITHIN_S = float(os.environ.get("LYKTA_FRESH_S", "120"))
"""`make torture` asks for ten; the tests run beside others, and must not ask for an idle machine."""
ROUNDS = int(os.environ.get("LYKTA_TORTURE_ROUNDS", "3"))
"""Of one episode; `make torture` asks for five, and the first three of a seed are the same."""


def _episode(folder: Path, port: int, seed: int) -> str:
    """One gateway's life: some rounds of faults, then everything must be there."""
    rng = random.Random(seed)
    damage = rng.random() < 0.3
    faults = [fault for fault in FAULTS if damage or fault != "damage"]
    # Drawn before anything runs: what happens by chance later must not change what a seed stands for.
    plan = [(rng.randrange(2, 12), rng.sample(faults, rng.choice((1, 1, 2, 3)))) for _ in range(ROUNDS)]
    world = World(folder, random.Random(seed + 1))
    story: list[str] = []
    try:
        world.start(port)
        for frames, chosen in plan:
            world.talk(frames)
            story.append("+".join(chosen))
            for fault in chosen:
                world.begin(fault)
                world.talk(frames // 2 + 1)
            world.heal()
            world.fresh_reading_passes(FRESH_WITHIN_S)
        world.everything_is_told_and_arrives()
        judge(world.truth, world.arrived)
    except Exception as error:
        said = [event for daemon in world.log for event in daemon.events if event.get("level") in ("error", None)]
        raise AssertionError(f"seed {seed}, faults {story}: {error}\n{said[-8:]}") from error
    finally:
        world.close()
    return f"{len(world.truth.acknowledged)} readings, {len(world.log)} starts, {' '.join(story)}"


@pytest.mark.apart
@pytest.mark.timeout(LASTS_S + 600)
def test_nothing_acknowledged_is_lost_and_nothing_comes_that_was_not_sent(
    tmp_path: Path, free_port: int, seed: int
) -> None:
    end_s = time.monotonic() + LASTS_S
    only = os.environ.get("LYKTA_TORTURE_SEED")
    number = 0
    while number == 0 or time.monotonic() < end_s:
        this = int(only) if only else seed + number
        print(f"LYKTA_TORTURE_SEED={this}: {_episode(tmp_path / str(number), free_port, this)}", flush=True)
        number += 1
        if only:
            break
