# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a large stock costs: the same 200 devices talk while 1 000 or 1 000 000 are registered and have sessions.

Prints start, memory and CPU per reading for both, and how they compare; keeps the run in
``benchmarks/results/stock.json``. The rows of idle devices are copies of a real one's under other names.
LYKTA_BENCH_STOCK: the sizes.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bench_gateway import settled  # noqa: E402
from benchmarks.load.rig import Gateway, Load, broker, datagrams, make_city, send  # noqa: E402

SIZES = [int(size) for size in os.environ.get("LYKTA_BENCH_STOCK", "1000,1000000").split(",")]
TALKING = 200
RATE = 1000
READINGS = 8000
ROUNDS = 3
RESULTS = ROOT / "benchmarks" / "results" / "stock.json"
_FIRST = 1 << 40
"""Names of idle devices: above those that talk."""


@dataclass
class Result:
    """One stock."""

    devices: int
    start_s: float
    rss_mb: float
    cpu_us: list[float]
    """Per reading, of each round."""
    disk_mb: float


def multiply(load: Load, count: int) -> None:
    """Add idle devices to the register, with sessions and with readings held."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"  # noqa: S608
    with closing(sqlite3.connect(load.folder / "register.db")) as register:
        own = [row[1] for row in register.execute("PRAGMA table_info(devices)")]
        old = register.execute("SELECT dev_eui, name FROM devices LIMIT 1").fetchone()
        eui = f"printf('%016x', {_FIRST} + i)"
        fresh = {
            "id": eui,
            "dev_eui": eui,
            "name": "'idle-' || i",
            "record": f"replace(replace(record, '{old[0]}', {eui}), '\"{old[1]}\"', '\"idle-' || i || '\"')",
        }
        columns = ", ".join(fresh.get(name, name) for name in own)
        register.execute(f"{numbers} INSERT INTO devices SELECT {columns} FROM n, (SELECT * FROM devices LIMIT 1)")  # noqa: S608
        register.commit()
    with closing(sqlite3.connect(load.folder / "state" / "sessions.db")) as sessions:
        for table, changed in (
            (
                "session",
                {"id": "id + i + 1000", "dev_addr": "dev_addr + i + 100000", "dev_eui": f"CAST({eui} AS BLOB)"},
            ),
            ("session_radio", {"session": "session + i + 1000"}),
            ("session_more", {"session": "session + i + 1000"}),
        ):
            own = [row[1] for row in sessions.execute(f"PRAGMA table_info({table})")]
            columns = ", ".join(changed.get(name, name) for name in own)
            sessions.execute(f"{numbers} INSERT INTO {table} SELECT {columns} FROM n, (SELECT * FROM {table} LIMIT 1)")  # noqa: S608
        sessions.commit()


def run(count: int, folder: Path, port: int) -> Result:
    """One daemon."""
    load = make_city(folder / "city", TALKING, port)
    multiply(load, count - TALKING)
    frames = datagrams(load, 2 * TALKING + ROUNDS * READINGS)
    began = time.monotonic()
    gateway = Gateway(load)
    start_s = time.monotonic() - began
    try:
        send(load, frames[: 2 * TALKING], 200)
        at, cpu_us = 2 * TALKING, []
        for _ in range(ROUNDS):
            before, cpu_s = settled(gateway), gateway.cpu_s
            send(load, frames[at : at + READINGS], RATE)
            cpu_us.append(round((settled(gateway) - before) and (gateway.cpu_s - cpu_s) * 1e6 / READINGS, 1))
            at += READINGS
        size = sum(path.stat().st_size for path in load.folder.rglob("*.db")) / 1e6
        return Result(count, round(start_s, 2), round(gateway.rss_mb, 1), cpu_us, round(size))
    finally:
        gateway.stop()


def main() -> None:
    """Each stock once."""
    results = []
    for count in SIZES:
        with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
            results.append(run(count, Path(name), port))
            print(asdict(results[-1]), flush=True)
    small, large = results[0], results[-1]
    cpu = min(large.cpu_us) / min(small.cpu_us)
    idle_bytes = (large.rss_mb - small.rss_mb) * 1e6 / max(1, large.devices - small.devices)
    print(f"CPU per reading {cpu:.2f} times, start {large.start_s:.1f} s, {idle_bytes:.0f} bytes of memory per device")
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 1),
        "cpu_times": round(cpu, 3),
        "bytes_per_idle_device": round(idle_bytes),
        "results": [asdict(each) for each in results],
    }
    history = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    RESULTS.write_text(json.dumps([*history, entry][-100:], indent=1) + "\n")


if __name__ == "__main__":
    main()
