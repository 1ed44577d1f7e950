# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node on a radio under the real MicroPython, in simulated time (tests/upy/node_lora*.py)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
SCRIPTS = [HERE / "upy" / name for name in ("node_lora.py", "node_lora_hostile.py", "node_lora_ts009.py")]
SCENARIOS = {
    scenario: script
    for script in SCRIPTS
    for scenario in re.findall(r"^async def scenario_(\w+)", script.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_node_on_a_radio(micropython: Path, scenario: str, seed: int) -> None:
    env = {**os.environ, "MICROPYPATH": f"{HERE.parent}:.frozen"}
    command = [str(micropython), "-X", "heapsize=4m", str(SCENARIOS[scenario]), scenario, str(seed)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ok"]), done.stdout + done.stderr


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 18


@pytest.mark.parametrize("link", ["serial", "ble"])
def test_other_links_load_nothing_of_it(link: str) -> None:
    """What a board with another link imports: no module of it mentions LoRaWAN's or the radio's."""
    node = HERE.parent / "firmware" / "node"
    seen = set()
    waiting = [node / "start.py", node / "app.py", node / "links" / f"{link}.py"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for module in re.findall(r"^from (firmware\.[\w.]+) import", path.read_text(), re.MULTILINE):
            assert "lorawan" not in module
            assert ".radio" not in module
            waiting.append(HERE.parent / (module.replace(".", "/") + ".py"))
    assert len(seen) > 10
