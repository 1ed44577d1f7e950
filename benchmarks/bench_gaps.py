# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the gaps in devices' numbers cost: bytes written to the disk and processor time for each reading.

``python benchmarks/bench_gaps.py``: the outbox alone, 200 devices in turn, batches of 64 readings, each the next one of
its device, after so many gaps as the first column says; then batches of which one reading in five is lost on the way.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.clock import SystemClock  # noqa: E402
from gateway.outbox.devices import Arrival  # noqa: E402
from gateway.outbox.store import Limits, Outbox  # noqa: E402
from gateway.records.reading import Payload, Reading  # noqa: E402
from tests.outbox_rig import Sealer  # noqa: E402

DEVICES, BATCH, BATCHES = 200, 64, 200


def arrival(number: int, *seqs: int) -> Arrival:
    """Some readings of a device in one frame."""
    dev_eui = number.to_bytes(8, "big")
    readings = tuple(Reading(dev_eui, seq, "street_light", 1.79e9, "device", {"power_w": 41.5}, 0.0) for seq in seqs)
    return Arrival(dev_eui, Payload(readings, (), None), b"session", seqs[-1])


def written_bytes() -> int:
    """What this process has sent to the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def measure(folder: Path, gaps: int, lost: float) -> tuple[float, float]:
    """Return bytes written, and microseconds of processor time, for each reading."""
    rng = random.Random(1)
    following = [2 * gaps + 1] * DEVICES
    with closing(Outbox(folder / "outbox.db", Sealer(), ("city",), Limits(), SystemClock())) as outbox:
        for number in range(DEVICES):
            if gaps:
                outbox.accept([arrival(number, *range(2, 2 * gaps + 1, 2))])
        before, began_s, made = written_bytes(), time.process_time(), 0
        for _ in range(BATCHES):
            batch = list[Arrival]()
            while len(batch) < BATCH:
                number, made = made % DEVICES, made + 1
                if rng.random() >= lost:
                    batch.append(arrival(number, following[number]))
                following[number] += 1
            outbox.accept(batch)
        took_s = time.process_time() - began_s
        return (written_bytes() - before) / BATCH / BATCHES, 1e6 * took_s / BATCH / BATCHES


def main() -> None:
    """Print the table."""
    print(f"{'gaps':>5} {'lost':>5} {'bytes':>7} {'us':>6}")
    for gaps, lost in ((0, 0.0), (1, 0.0), (64, 0.0), (256, 0.0), (1000, 0.0), (0, 0.2)):
        with tempfile.TemporaryDirectory() as name:
            written, cpu_us = measure(Path(name), gaps, lost)
        print(f"{gaps:>5} {lost:>5.0%} {written:>7.0f} {cpu_us:>6.1f}", flush=True)


if __name__ == "__main__":
    main()
