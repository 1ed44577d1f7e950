# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long readings wait for the disk: their commits, and the notes of what a broker took, in turns.

A hundred batches a second of 125 readings of 200 devices, the gateway at half of its load, into an outbox on this
machine's disk; ten times a second it is noted what a broker took, with a wait for the disk and without, while nothing
can be stored. Prints what half, 90 and 99 of a hundred commits, and notes, took, and adds it to
``benchmarks/results/commits.json``. LYKTA_BENCH_S: seconds a turn; LYKTA_BENCH_ROUNDS.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.clock import SystemClock  # noqa: E402
from gateway.outbox.devices import Arrival  # noqa: E402
from gateway.outbox.lanes import END, Lanes  # noqa: E402
from gateway.outbox.store import Limits, Outbox  # noqa: E402
from gateway.records.reading import Payload, Reading  # noqa: E402
from tests.outbox_rig import Sealer  # noqa: E402

SECONDS = float(os.environ.get("LYKTA_BENCH_S", "8"))
ROUNDS = int(os.environ.get("LYKTA_BENCH_ROUNDS", "3"))
HISTORY = ROOT / "benchmarks" / "results" / "commits.json"
_DEVICES, _BATCH, _PER_SECOND, _NOTE_EVERY = 200, 125, 100, 10
_MESSAGE_BYTES = 1700


class _Envelopes(Sealer):
    """As large as the gateway's, without a signature."""

    def seal(self, *what: object) -> bytes:
        return super().seal(*what).ljust(_MESSAGE_BYTES, b"\0")  # type: ignore[arg-type]


def batch(first: int) -> list[Arrival]:
    """The readings from number *first* on, the devices in turn."""
    made = []
    for number in range(first, first + _BATCH):
        dev_eui, seq = (number % _DEVICES).to_bytes(8, "big"), 1 + number // _DEVICES
        reading = Reading(dev_eui, seq, "street_light", 1_790_000_000.0 + number, "device", {"power_w": 41.5}, 0.0)
        made.append(Arrival(dev_eui, Payload((reading,), (), None), bytes(8), seq))
    return made


def turn(path: Path, *, lasting: bool) -> dict[str, list[float]]:
    """Store for a while; return how long each commit and each note took, seconds."""
    took: dict[str, list[float]] = {"commit": [], "note": []}
    with closing(Outbox(path, _Envelopes(), ("city",), Limits(), SystemClock())) as outbox:
        note = outbox.published if lasting else outbox.published_soon
        begin_s = time.perf_counter()
        for count in range(int(SECONDS * _PER_SECOND)):
            arrivals = batch(count * _BATCH)
            took["commit"].append(_seconds(partial(outbox.accept, arrivals)))
            if count % _NOTE_EVERY == 0:
                lanes = Lanes([[outbox.last(), END]])
                took["note"].append(_seconds(partial(note, "city", lanes, 1)))
            time.sleep(max(0.0, begin_s + count / _PER_SECOND - time.perf_counter()))
    return took


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def percentiles_ms(seconds: list[float]) -> list[float]:
    """What half, 90 and 99 of a hundred took at most."""
    ordered = sorted(seconds)
    return [round(1000 * ordered[int(len(ordered) * share)], 1) for share in (0.5, 0.9, 0.99)]


def main() -> None:
    """Measure, print, remember."""
    took: dict[str, dict[str, list[float]]] = {}
    for number in range(ROUNDS):
        for name, lasting in (("lasting", True), ("soon", False)):
            with tempfile.TemporaryDirectory(prefix="commits-") as folder:
                for what, seconds in turn(Path(folder) / f"outbox-{number}.db", lasting=lasting).items():
                    took.setdefault(name, {}).setdefault(what, []).extend(seconds)
    results = {name: {what: percentiles_ms(each) for what, each in found.items()} for name, found in took.items()}
    for name, found in results.items():
        print(f"notes {name:8}", *(f"{what}: p50, p90, p99 {each} ms" for what, each in found.items()))
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1),
        "results": results,
    }
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    HISTORY.write_text(json.dumps([*history, entry][-100:], indent=1) + "\n")


if __name__ == "__main__":
    main()
