# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway beside ThingsBoard IoT Gateway and Node-RED: the same readings, one core each, in one run.

Two courses: readings as fast as each passes them on (``peers.course``), and a steady stream that waits for nobody
(``peers.stream``), which is what devices send and what the goals are about. ``make bench-peers`` installs the others
and runs this. Rounds alternate, and ratios are those within a round, since the speed of a computer that is shared
drifts; the median of the rounds counts. Adds the run to ``benchmarks/results/peers.json``. LYKTA_BENCH_ROUNDS: how
many.
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
from benchmarks.peers.stream import Rung, Stream, best  # noqa: E402
from benchmarks.peers.thingsboard import ThingsBoard  # noqa: E402

ROUNDS = int(os.environ.get("LYKTA_BENCH_ROUNDS", "3"))
HISTORY = ROOT / "benchmarks" / "results" / "peers.json"


@dataclass(frozen=True)
class Entry:
    """One contestant: how it is made, and how much it is given, some seconds' worth."""

    make: Callable[[Path], Contestant]
    warm_up: int
    count: int
    stream_from_per_s: float
    """A rate that it certainly keeps up with."""
    goal: float = 0.0
    """How many times as fast the daemon shall be."""


ENTRIES = {
    "Lykta": Entry(Lykta, 2000, 50_000, 10_000),
    "ThingsBoard gateway": Entry(ThingsBoard, 1000, 12_000, 1_000, goal=8.0),
    "Node-RED": Entry(NodeRed, 2000, 40_000, 2_500, goal=2.5),
}
OTHERS = [name for name, entry in ENTRIES.items() if entry.goal]


@dataclass(frozen=True)
class Both:
    """What one contestant did on the two courses."""

    outcome: Outcome
    rungs: list[Rung]

    @property
    def stream_per_s(self) -> float:
        """Readings that came out a second of the highest steady stream that was kept up with."""
        return best(self.rungs).out_per_s


def one_round() -> dict[str, Both]:
    """Each contestant once, started anew."""
    found = {}
    for name, entry in ENTRIES.items():
        with tempfile.TemporaryDirectory() as folder, entry.make(Path(folder)) as contestant:
            outcome = run(contestant, entry.warm_up, entry.count)
            rungs = Stream(contestant, entry.warm_up + entry.count).highest(entry.stream_from_per_s)
        found[name] = Both(outcome, rungs)
        print(f"  {name:20} {_line(outcome, best(rungs))}", flush=True)
    return found


def _line(outcome: Outcome, steady: Rung) -> str:
    lost = f"{outcome.lost} lost, {outcome.twice} twice of {outcome.offered}"
    stream = f"{steady.out_per_s:8.0f}/s {steady.cpu_us:6.1f} us, {steady.lost_pct:.1f} % lost"
    return f"{outcome.rate_per_s:8.0f}/s {outcome.cpu_us:6.1f} us {outcome.rss_mb:6.1f} MB  {lost:34} stream{stream}"


def ratios(rounds: list[dict[str, Both]], value: Callable[[Both], float]) -> dict[str, float]:
    """How many times each other one's value the daemon's is: the median over the rounds."""
    return {
        name: round(statistics.median(value(each["Lykta"]) / value(each[name]) for each in rounds), 2)
        for name in OTHERS
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
    steady = ratios(rounds, lambda each: each.stream_per_s)
    fast = ratios(rounds, lambda each: each.outcome.rate_per_s)
    by_cpu = ratios(rounds, lambda each: 1 / each.outcome.cpu_us)
    for name in OTHERS:
        goal = ENTRIES[name].goal
        verdict = "reached" if steady[name] >= goal else "not reached"
        print(f"{steady[name]:.2f} times {name} in a steady stream (goal {goal}: {verdict});", end=" ")
        print(f"{fast[name]:.2f} times as fast as each can; by processor time {by_cpu[name]:.2f} times")
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    added = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load_average": [round(before, 1), round(os.getloadavg()[0], 1)],
        "times_the_steady_stream_of": steady,
        "times_as_fast_as": fast,
        "times_less_processor_time_than": by_cpu,
        "rounds": [{name: asdict(both) for name, both in each.items()} for each in rounds],
    }
    HISTORY.write_text(json.dumps([*history, added][-50:], indent=1) + "\n")


if __name__ == "__main__":
    main()
