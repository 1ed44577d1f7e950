# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The roles under the real MicroPython: interrupts, and 24 simulated hours of each without heap growth."""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("what", ["interrupts", "waste_bin", "traffic", "street_light"])
def test_on_the_board(micropython: Path, what: str) -> None:
    env = {**os.environ, "MICROPYPATH": f"{HERE.parent}:.frozen"}
    command = [str(micropython), "-X", "heapsize=1m", str(HERE / "upy" / "role_board.py"), what]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stdout + done.stderr
