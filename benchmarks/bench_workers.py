# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One process against a front and two workers, in turns in one run: what each stores, and what each process costs.

Each process that stores is offered the same, so two workers get twice as much together: a reading costs less where
more come. The load generator and mosquitto share the cores with them, so what is stored a second says little of what a
gateway could store whose broker is elsewhere; it is printed with their cost. What two cores could store is computed
from the cost of the gateway's own processes: one process uses one core, and a front and two workers share two, of which
the front is at most one. LYKTA_BENCH_S: seconds a turn; LYKTA_BENCH_RATES: readings a second for each process that
stores; LYKTA_BENCH_ROUNDS. Adds the run to ``benchmarks/results/workers.json``.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.rig import Load, datagrams, free_port, make_city, mosquitto, rss_mb, send  # noqa: E402
from gateway import division  # noqa: E402
from gateway.outbox import stats  # noqa: E402
from tests.gateway_rig import until  # noqa: E402

SECONDS = float(os.environ.get("LYKTA_BENCH_S", "4"))
RATES = [int(rate) for rate in os.environ.get("LYKTA_BENCH_RATES", "4000,8000,16000").split(",")]
ROUNDS = int(os.environ.get("LYKTA_BENCH_ROUNDS", "3"))
WORKERS = 2
DEVICES = 200
HISTORY = ROOT / "benchmarks" / "results" / "workers.json"
_START_S = 90


class Setup:
    """A gateway of one process, or of a front and workers, with a broker of its own."""

    def __init__(self, folder: Path, workers: int, stack: ExitStack) -> None:
        folder.mkdir()
        port = free_port()
        self.broker = mosquitto(folder, port)
        os.sched_setaffinity(self.broker.pid, os.sched_getaffinity(0))
        stack.callback(self.broker.wait, 10)
        stack.callback(self.broker.terminate)
        self.load: Load = make_city(folder, DEVICES, port)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log = (folder / "log").open("ab")
        stack.callback(self._log.close)
        stack.callback(self.stop)
        if workers == 1:
            self.outboxes = [self.load.outbox]
            self._start("one process", "run", b'"lora_open"', 1)
            return
        text = self.load.config.read_text()
        self.load.config.write_text(f"{text}\n[workers]\ncount = {workers}\nport = {free_port()}\n")
        self._command("divide").check_returncode()
        root = folder / "state"
        self.outboxes = [division.place(root, workers, number) / "outbox.db" for number in range(1, workers + 1)]
        for number in range(1, workers + 1):
            self._start(f"worker {number}", "run", b'"lora_open"', number, "--worker", str(number))
        self._start("front", "front", b'"front_open"', 1)

    def _command(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "gateway", *words, "--config", str(self.load.config)]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True)

    def _start(self, name: str, word: str, event: bytes, count: int, *options: str) -> None:
        command = [sys.executable, "-m", "gateway", word, "--config", str(self.load.config), *options]
        self.processes[name] = subprocess.Popen(command, stderr=self._log, stdin=subprocess.DEVNULL, cwd=ROOT)
        log = self.load.folder / "log"
        until(lambda: log.read_bytes().count(event) >= count, f"{name} to listen", _START_S)

    def stop(self) -> None:
        """End all processes."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    def cpu_s(self) -> dict[str, float]:
        """User and system time of each process so far, and of the broker."""
        pids = {**{name: each.pid for name, each in self.processes.items()}, "broker": self.broker.pid}
        return {name: _cpu_s(pid) for name, pid in pids.items()}

    def settled(self) -> int:
        """Wait until everything that is stored is published; return how much that is."""
        last = -1
        while True:
            found = [stats.read(each) for each in self.outboxes if each.is_file()]
            stored = sum(each.durable for each in found)
            if stored == last and sum(each.published.get("city", 0) for each in found) >= stored:
                return stored
            last = stored
            time.sleep(0.3)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(setup: Setup, rate: int) -> dict[str, float]:
    """Offer a rate for a while; return readings stored a second, and what each process takes: us a reading, MB."""
    frames = datagrams(setup.load, int(rate * SECONDS))
    before, cpu_s, own_s = setup.settled(), setup.cpu_s(), time.process_time()
    took_s = send(setup.load, frames, rate)
    own_s = time.process_time() - own_s
    stored = setup.settled() - before
    cost = {name: (now_s - cpu_s[name]) * 1e6 / max(1, stored) for name, now_s in setup.cpu_s().items()}
    found = {"offered_per_s": len(frames) / took_s, "stored_per_s": stored / took_s}
    found["lost_pct"] = 100 * (1 - stored / len(frames))
    found |= {f"us {name}": each for name, each in cost.items()} | {"us generator": own_s * 1e6 / len(frames)}
    return found | {f"MB {name}": rss_mb(each.pid) for name, each in setup.processes.items()}


def summary(one: dict[str, float], two: dict[str, float]) -> dict[str, float]:
    """What two cores could store, against one process on one of them."""
    front_us = two["us front"]
    workers_us = sum(us for name, us in two.items() if name.startswith("us worker"))
    possible = min(2e6 / (front_us + workers_us), 1e6 / front_us)
    return {
        "measured_ratio": two["stored_per_s"] / max(1.0, one["stored_per_s"]),
        "possible_one_per_s": 1e6 / one["us one process"],
        "possible_two_per_s": possible,
        "possible_ratio": possible * one["us one process"] / 1e6,
    }


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: round(statistics.median(turn[name] for turn in turns), 2) for name in turns[0]}


def main() -> int:
    """Measure, print, remember."""
    results = []
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        setups = {count: Setup(Path(scratch) / f"of-{count}", count, stack) for count in (1, WORKERS)}
        for setup in setups.values():
            send(setup.load, datagrams(setup.load, 2 * DEVICES), 500)
        for rate in RATES:
            turns: dict[int, list[dict[str, float]]] = {count: [] for count in setups}
            for _ in range(ROUNDS):
                for count, setup in setups.items():
                    turns[count].append(measure(setup, rate * count))
            one, two = medians(turns[1]), medians(turns[WORKERS])
            found = {name: round(each, 2) for name, each in summary(one, two).items()}
            results.append({"rate_of_each": rate, "one": one, "two": two, **found})
            for name, turn in (("one process", one), ("front and two workers", two)):
                print(f"{rate:6} for each, {name:22}", "  ".join(f"{key} {value:g}" for key, value in turn.items()))
            could, as_stored = found["possible_ratio"], found["measured_ratio"]
            print(f"{rate:6} for each, ratio as stored {as_stored}; as two cores could: {could}")
    run = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_average": os.getloadavg()[0],
        "results": results,
    }
    history = json.loads(HISTORY.read_text()) if HISTORY.is_file() else []
    HISTORY.write_text(json.dumps([*history, run], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
