# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The vector files, under CPython and under the real MicroPython."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.upy import vectors

HERE = Path(__file__).parent
FILES = sorted((HERE / "vectors").glob("*/*.json"))
WIRE_FILES = [path for path in FILES if path.parent.name in ("lorawan", "roles", "wire")]


def _cases() -> list[Any]:
    found = []
    for path in WIRE_FILES:
        for number, case in enumerate(json.loads(path.read_text())["cases"]):
            name = case.get("name") or str(number)
            found.append(pytest.param(case, id=f"{path.stem}-{case['op']}-{name}"))
    return found


@pytest.mark.parametrize("case", _cases())
def test_vector(case: dict[str, Any]) -> None:
    assert vectors.run(case) is None


def test_a_wrong_vector_is_noticed() -> None:
    assert vectors.run({"op": "cobs", "data": "00", "out": "00"}) is not None
    assert vectors.run({"op": "cobs_decode", "data": "0101", "error": "Malformed"}) is not None
    assert vectors.run({"op": "cobs_decode", "data": "", "error": "NotAuthentic"}) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_where_it_is_from(path: Path) -> None:
    assert json.loads(path.read_text())["provenance"]


@pytest.mark.parametrize("path", WIRE_FILES, ids=lambda path: path.stem)
def test_vectors_under_micropython(path: Path, micropython: Path) -> None:
    env = {**os.environ, "MICROPYPATH": f"{HERE.parent}:.frozen"}
    command = [str(micropython), "-X", "heapsize=512k", str(HERE / "upy" / "vectors.py"), str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    expected = len(json.loads(path.read_text())["cases"])
    assert (done.returncode, done.stdout.strip()) == (0, f"{expected} passed, 0 failed"), done.stdout + done.stderr
