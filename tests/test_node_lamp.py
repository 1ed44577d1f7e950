# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The street light's sun, schedule, decisions and DALI frames: the same vectors under CPython and MicroPython."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.upy import node_lamp

HERE = Path(__file__).parent
VECTORS = sorted((HERE / "vectors" / "lamp").glob("*.json"))


@pytest.mark.timeout(400)
def test_under_cpython(capsys: pytest.CaptureFixture[str]) -> None:
    node_lamp.main([str(path) for path in VECTORS])
    assert capsys.readouterr().out.endswith("ok\n")


@pytest.mark.timeout(400)
def test_under_micropython(micropython: Path) -> None:
    env = {**os.environ, "MICROPYPATH": f"{HERE.parent}:.frozen"}
    command = [str(micropython), "-X", "heapsize=512k", str(HERE / "upy" / "node_lamp.py"), *map(str, VECTORS)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stdout + done.stderr


def test_a_wrong_vector_is_noticed() -> None:
    with pytest.raises(AssertionError):
        node_lamp.check_vector(
            {"day_s": 1767571200, "place": [59330000, 18070000, -83], "out": [1767600000, 1767620000]}
        )
