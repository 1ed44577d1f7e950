# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `make test` forgives: a test on real time that passes alone, said aloud. Nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.second_look import MOST, SecondLook

ROOT = Path(__file__).parents[1]
STEPS = """
import time
from pathlib import Path

def test_in_the_way():
    seen = Path("seen")
    first = not seen.exists()
    seen.touch()
    time.sleep(2.1)
    assert {holds}, "in the way"

def test_other(): pass
"""


def run(folder: Path, holds: str) -> tuple[int, str]:
    """Run a test as `make test` would; return the exit status and what was printed."""
    (folder / "test_made.py").write_text(STEPS.format(holds=holds))
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n1", "--dist=loadgroup", "-q", "-ra", "-p", "tests.second_look"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_what_waits_for_others_may_pass_alone_and_that_is_said(tmp_path: Path) -> None:
    status, said = run(tmp_path, "not first")
    assert status == 0, said
    assert "UNSTEADY" in said and "AssertionError: in the way" in said and "test_made.py::test_in_the_way" in said
    assert "1 failed, 1 passed" in said


@pytest.mark.timeout(300)
def test_what_fails_alone_too_has_failed(tmp_path: Path) -> None:
    status, said = run(tmp_path, "False")
    assert status == 1, said
    assert "UNSTEADY" not in said and "failed beside others, and alone" in said


def report(number: int, duration_s: float = 9.0, **keywords: bool) -> pytest.TestReport:
    where = ("tests/test_x.py", number, "test")
    return pytest.TestReport(
        f"tests/test_x.py::test_{number}@x", where, dict(keywords), "failed", "", "call", duration=duration_s
    )


@pytest.mark.parametrize(
    ("reports", "allowed"),
    [
        pytest.param([report(0)], True, id="waited for others"),
        pytest.param([report(n) for n in range(MOST)], True, id="a few"),
        pytest.param([report(n) for n in range(MOST + 1)], False, id="too many"),
        pytest.param([report(0, 1.0)], False, id="waited for nobody"),
        pytest.param([report(0), report(1, 0.1)], False, id="one of them waited for nobody"),
        pytest.param([report(0, hypothesis=True)], False, id="a property"),
        pytest.param([], False, id="nothing failed"),
    ],
)
def test_what_has_a_second_look(reports: list[pytest.TestReport], allowed: bool) -> None:
    look = SecondLook()
    for each in reports:
        look.pytest_runtest_logreport(each)
    assert look.allowed() is allowed
