# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How many readings a second the real daemon takes, what each costs, and how long it takes to the platform.

One reading is one LoRaWAN frame of 30 bytes in its own Semtech UDP datagram; it is checked, decrypted, signed, on disk
(synchronous=FULL) and acknowledged by mosquitto with QoS 1; eight frames a second are confirmed ones, whose answers
say when a device can be told that its reading is on disk. The daemon has one core, everything else the other. Rates
are offered, not asked for: what the daemon cannot take it drops, and devices would send it again. Prints a table and a
plot, and adds the run to ``benchmarks/results/gateway.json``. LYKTA_BENCH_S: seconds per rate.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.load.answers import PER_SECOND, Answers  # noqa: E402
from benchmarks.load.latency import Watcher  # noqa: E402
from benchmarks.load.rig import Gateway, Load, broker, datagrams, make_city, pin, send  # noqa: E402

SECONDS = float(os.environ.get("LYKTA_BENCH_S", "5"))
RATES = [int(rate) for rate in os.environ.get("LYKTA_BENCH_RATES", "500,1000,2000,4000,8000").split(",")]
DEVICES = 200
HISTORY = ROOT / "benchmarks" / "results" / "gateway.json"
_WARM_UP = 2 * DEVICES


@dataclass
class Result:
    """One rate."""

    offered_per_s: float
    stored_per_s: float
    lost_pct: float
    """Offered and dropped before they were on disk: nobody was told otherwise."""
    cpu_us: float
    """Of the daemon, user and system, per reading that was stored."""
    p50_ms: float
    """From the datagram to the broker's subscriber."""
    p99_ms: float
    told_p50_ms: float
    """From the datagram to the acknowledgement for its device, handed to the packet forwarder."""
    told_p99_ms: float
    told_pct: float
    """Of the frames that asked for an acknowledgement: how many had one."""
    rss_mb: float


def settled(gateway: Gateway) -> int:
    """Wait until everything stored is published; return how much that is."""
    last = -1
    while True:
        stored, published = gateway.stored(), gateway.published()
        if stored == last and published >= stored:
            return stored
        last = stored
        time.sleep(0.3)


def confirmed_every(rate: int) -> int:
    """Return which frames of a rate are confirmed ones: of all devices in turn."""
    every = max(1, rate // PER_SECOND)
    while math.gcd(every, DEVICES) > 1:
        every += 1
    return every


def measure(gateway: Gateway, load: Load, rate: int, watcher: Watcher, answers: Answers) -> Result:
    """Offer one rate for a while."""
    frames = datagrams(load, int(rate * SECONDS), confirmed_every(rate))
    before, cpu_s = settled(gateway), gateway.cpu_s
    watcher.forget()
    answers.begin(confirmed_every(rate))

    def note(first: int, last: int) -> None:
        watcher.sent(first, last)
        answers.sent(first, last)

    took_s = send(load, frames, rate, note)
    stored = settled(gateway) - before
    p50, p99 = watcher.percentiles_ms()
    told_p50, told_p99, told_pct = answers.percentiles_ms()
    return Result(
        round(len(frames) / took_s),
        round(stored / took_s),
        round(100 * (1 - stored / len(frames)), 2),
        round((gateway.cpu_s - cpu_s) * 1e6 / max(1, stored), 1),
        p50,
        p99,
        told_p50,
        told_p99,
        told_pct,
        round(gateway.rss_mb, 1),
    )


def run(records: str) -> list[Result]:
    """One daemon through all rates."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        folder = Path(name)
        load = make_city(folder / "city", DEVICES, port, records)
        pin(0, 1)
        gateway = Gateway(load)
        watcher, answers = Watcher(port), Answers(load)
        try:
            send(load, datagrams(load, _WARM_UP), 200)
            return [measure(gateway, load, rate, watcher, answers) for rate in RATES]
        finally:
            watcher.close()
            answers.close()
            gateway.stop()


def show(title: str, results: list[Result]) -> None:
    """The table, and a plot of what is stored against what is offered."""
    print(f"\n{title}\n offered/s  stored/s  dropped %  CPU us  p50 ms  p99 ms  told p50     p99  told %  RSS MB")
    top = max(result.offered_per_s for result in results)
    for each in results:
        bar = "#" * round(30 * each.stored_per_s / top) + "." * round(
            30 * (each.offered_per_s - each.stored_per_s) / top
        )
        print(
            f"{each.offered_per_s:10.0f}{each.stored_per_s:10.0f}{each.lost_pct:11.2f}{each.cpu_us:8.1f}"
            f"{each.p50_ms:8.1f}{each.p99_ms:8.1f}{each.told_p50_ms:10.1f}{each.told_p99_ms:8.1f}"
            f"{each.told_pct:8.1f}{each.rss_mb:8.1f}  {bar}"
        )


def main() -> None:
    """Measure signatures over up to 16 readings, and over one."""
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}; load average before {os.getloadavg()[0]:.1f}")
    runs = {"16 readings a signature": run(""), "1 reading a signature": run("max_batch = 1")}
    for title, results in runs.items():
        show(title, results)
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load_average": round(os.getloadavg()[0], 1),
        "runs": {title: [asdict(result) for result in results] for title, results in runs.items()},
    }
    HISTORY.write_text(json.dumps([*history, entry][-100:], indent=1) + "\n")


if __name__ == "__main__":
    main()
