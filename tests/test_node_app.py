# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The whole node under the real MicroPython, in the heap of a board (tests/upy/node_app.py, node_flash.py)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.apart

HERE = Path(__file__).parent
SCENARIOS = re.findall(r"^async def scenario_(\w+)", (HERE / "upy" / "node_app.py").read_text(), re.MULTILINE)


def run(micropython: Path, script: str, *arguments: str) -> None:
    env = {**os.environ, "MICROPYPATH": f"{HERE.parent}:.frozen"}
    command = [str(micropython), "-X", "heapsize=2m", str(HERE / "upy" / script), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stdout + done.stderr


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_node(micropython: Path, scenario: str, seed: int) -> None:
    run(micropython, "node_app.py", scenario, str(seed))


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 15


def test_the_stores_survive_a_cut_at_every_flash_operation(micropython: Path) -> None:
    run(micropython, "node_flash.py")
