# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway beside ThingsBoard IoT Gateway and Node-RED: the same readings, one core each, in one run.

``make bench-peers`` installs the others and runs this. Rounds alternate, and ratios are those within a round, since the
speed of a computer that is shared drifts; the median of the rounds counts. Adds the run to
``benchmarks/results/peers.json``. LYKTA_BENCH_ROUNDS: how many.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.rig import pin  # noqa: E402
from benchmarks.peers.contestant import Contestant  # noqa: E402
from benchmarks.peers.course import Outcome, run  # noqa: E402
from benchmarks.peers.lykta import Lykta  # noqa: E402
from benchmarks.peers.node_red import NodeRed  # noqa: E402
from benchmarks.peers.thingsboard import ThingsBoard  # noqa: E402

ROUNDS = int(os.environ.get("LYKTA_BENCH_ROUNDS", "3"))
HISTORY = ROOT / "benchmarks" / "results" / "peers.json"


@dataclass(frozen=True)
class Entry:
    """One contestant: how it is made, and how much it is given, some seconds' worth."""

    make: Callable[[Path, int], Contestant]
    warm_up: int
    count: int
    goal: float = 0.0
    """How many times as fast the daemon shall be."""


ENTRIES = {
    "Lykta": Entry(Lykta, 2000, 50_000),
    "ThingsBoard gateway": Entry(ThingsBoard, 1000, 12_000, goal=8.0),
    "Node-RED": Entry(NodeRed, 2000, 40_000, goal=2.5),
}


def one_round() -> dict[str, Outcome]:
    """Each contestant once, started anew."""
    outcomes = {}
    for name, entry in ENTRIES.items():
        with (
            tempfile.TemporaryDirectory() as folder,
            entry.make(Path(folder), entry.warm_up + entry.count) as contestant,
        ):
            outcomes[name] = run(contestant, entry.warm_up, entry.count)
        print(f"  {name:20} {_line(outcomes[name])}", flush=True)
    return outcomes


def _line(outcome: Outcome) -> str:
    lost = f"{outcome.lost} lost, {outcome.twice} twice of {outcome.offered}"
    return f"{outcome.rate_per_s:8.0f}/s {outcome.cpu_us:7.1f} us {outcome.rss_mb:6.1f} MB  {lost}"


def cpu_ratios(rounds: list[dict[str, Outcome]]) -> dict[str, float]:
    """How many times the daemon's processor time each other one takes for a reading: hardly moved by other work."""
    return {
        name: round(statistics.median(each[name].cpu_us / each["Lykta"].cpu_us for each in rounds), 2)
        for name, entry in ENTRIES.items()
        if entry.goal
    }


def ratios(rounds: list[dict[str, Outcome]]) -> dict[str, float]:
    """How many times as fast as each other one the daemon is: the median over the rounds."""
    return {
        name: round(statistics.median(each["Lykta"].rate_per_s / each[name].rate_per_s for each in rounds), 2)
        for name, entry in ENTRIES.items()
        if entry.goal
    }


def main() -> None:
    """Measure, print, keep."""
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    before = os.getloadavg()[0]
    print(f"{machine}; load average before {before:.1f}")
    print("readings at the far end a second, CPU of each, memory; the contestant on one core, all else on the other")
    for kind in (Lykta, ThingsBoard, NodeRed):
        print(f"  {kind.name:20} keeps {kind.keeps}")
    pin(0, 1)
    rounds = []
    for number in range(ROUNDS):
        print(f"round {number + 1}")
        rounds.append(one_round())
    found, by_cpu = ratios(rounds), cpu_ratios(rounds)
    for name, ratio in found.items():
        goal = ENTRIES[name].goal
        verdict = "reached" if ratio >= goal else "not reached"
        print(f"{ratio:.2f} times {name} (goal {goal}: {verdict}); by processor time {by_cpu[name]:.2f} times")
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    added = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load_average": [round(before, 1), round(os.getloadavg()[0], 1)],
        "times_as_fast_as": found,
        "times_less_processor_time_than": by_cpu,
        "rounds": [{name: asdict(outcome) for name, outcome in each.items()} for each in rounds],
    }
    HISTORY.write_text(json.dumps([*history, added][-50:], indent=1) + "\n")


if __name__ == "__main__":
    main()
