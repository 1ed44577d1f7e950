# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long a waste bin is awake for a measurement: the shipped role and drivers on simulated chips, in their own time.

Prints one JSON object. Sensors take the time that their data sheets give; code takes none here, so the figures are
what sensors make a processor wait. provisioning/battery.py counts with them.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.sim_bench import Bench, play  # noqa: E402


def measure() -> dict[str, float]:
    """Seconds of one measurement with 7 samples: the first, which sets up the optical sensor, and those that follow."""
    taken: list[float] = []

    async def script(bench: Bench) -> None:
        for _ in range(4):
            before = bench.environment.now_s()
            await bench.role.measure()
            taken.append(round(bench.environment.now_s() - before, 3))

    play("virtual_waste_bin", "waste_bin", "still", 1, script)
    return {"first_s": taken[0], "measurement_s": taken[-1]}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
