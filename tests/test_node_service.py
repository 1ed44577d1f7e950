# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What every role gets from the node, under the real MicroPython (tests/upy/node_service.py)."""

import re
from pathlib import Path

import pytest

from firmware.node import slots
from tests.test_node_app import run

SOURCE = Path(__file__).parent / "upy" / "node_service.py"
SCENARIOS = re.findall(r"^async def scenario_(\w+)", SOURCE.read_text(), re.MULTILINE)
VERSION = re.compile(r'^version = "(\d+)\.(\d+)\.(\d+)"', re.MULTILINE)
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_service(micropython: Path, scenario: str, seed: int) -> None:
    run(micropython, "node_service.py", scenario, str(seed))


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 10
    assert slots.MAX_PAYLOAD >= 1024


def test_the_firmware_tells_the_version_of_the_project() -> None:
    found = VERSION.search((ROOT / "pyproject.toml").read_text())
    assert found is not None
    major, minor, patch = (int(part) for part in found.groups())
    status = (ROOT / "firmware" / "node" / "boots.py").read_text()
    assert f"\nVERSION = {major * 10000 + minor * 100 + patch} " in status
