# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board's Bluetooth link on its own, under the real MicroPython (tests/upy/ble_link.py)."""

import re
from pathlib import Path

import pytest

from tests.test_node_app import run

pytestmark = pytest.mark.timeout(600)

SCENARIOS = re.findall(
    r"^async def scenario_(\w+)", (Path(__file__).parent / "upy" / "ble_link.py").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_link(micropython: Path, scenario: str) -> None:
    run(micropython, "ble_link.py", scenario)


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 8
