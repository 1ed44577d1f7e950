# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board's heap that lies in small pieces, on the real MicroPython and its littlefs."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LENT = {"lent": "from firmware import lent_too\nVALUE = lent_too.VALUE + 1\n", "lent_too": "VALUE = 6\n"}


@pytest.mark.parametrize("more", range(5))
def test_a_heap_in_small_pieces_keeps_a_place_for_files_and_for_code_that_is_borrowed(
    micropython: Path, mpy_cross: Path, tmp_path: Path, seed: int, more: int
) -> None:
    for name, source in LENT.items():
        (tmp_path / f"{name}.py").write_text(source)
        subprocess.run([mpy_cross, f"{name}.py"], check=True, cwd=tmp_path, timeout=60)
    script = [ROOT / "tests/upy/node_memory.py", seed + more, tmp_path]
    command = [str(micropython), "-X", "heapsize=512k", *map(str, script)]
    env = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr
