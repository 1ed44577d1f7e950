# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A short pass of each fuzz target; `make fuzz` takes ten million inputs, guided by coverage."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import run, targets

INPUTS = 1000


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[targets.Gateway]:
    logging.disable()
    made = targets.Gateway(tmp_path)
    yield made
    made.close()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", targets.NAMES)
def test_nothing_from_outside_breaks_the_gateway(gateway: targets.Gateway, name: str, seed: int) -> None:
    seeds = targets.seeds(name, gateway.device)
    assert len(seeds) >= 2
    run.blind(gateway.target(name), seeds, INPUTS, seed)
    gateway.payload(bytes([0]) + b"\xa1\x00\x01")  # and it still works
    assert gateway.stages.count("frames", "abandoned") == 0


def test_a_target_that_breaks_is_told_with_its_input(seed: int) -> None:
    def breaks(data: bytes) -> None:
        if len(data) > 3:
            raise KeyError(data)

    with pytest.raises(KeyError) as told:
        run.blind(breaks, [b"abc"], 10_000, seed)
    assert bytes.fromhex(told.value.__notes__[0].rpartition(" ")[2]) == told.value.args[0]


def test_a_target_that_hangs_is_ended_and_says_where(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from tests.fuzz import run; run.HANGS_AFTER_S = 0.2\n"
         "def hangs(data):\n    while True: pass\n"
         "run.blind(hangs, [b'x'], 10, 1)"],
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert told.returncode != 0
    assert b"in hangs" in told.stderr, told.stderr


def test_what_is_authentic_reaches_the_outbox(gateway: targets.Gateway) -> None:
    for data in targets.seeds("payload", gateway.device):
        gateway.payload(data)
    assert gateway.stages.count("readings", "new") >= 2, "the targets do not reach as deep as they should"
