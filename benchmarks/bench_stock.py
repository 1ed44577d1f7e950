# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a large stock costs: the same 200 devices talk while 1 000 or 1 000 000 are registered and have sessions.

Prints start, memory and CPU per reading for both, and how they compare; keeps the run in
``benchmarks/results/stock.json``. The rows of idle devices are copies of a real one's under other names. Starts and
readings of both take turns, so that what else the computer does falls on both; each start finds nothing of the
databases in memory, as after a reboot, and CPU time says what it costs on a computer that has other work.
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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
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
    start_s: list[float] = field(default_factory=list)
    """From the command to the open socket, by the clock on the wall."""
    start_cpu_s: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    cpu_us: list[float] = field(default_factory=list)
    """Per reading, of each round."""
    disk_mb: int = 0


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


class Stock:
    """One city and its daemon, which is started again and again and then stays."""

    def __init__(self, count: int, folder: Path, port: int) -> None:
        self.result = Result(count)
        self.load = make_city(folder / "city", TALKING, port)
        multiply(self.load, count - TALKING)
        self.frames = iter(datagrams(self.load, 2 * TALKING + ROUNDS * READINGS))
        self.databases = list(self.load.folder.rglob("*.db"))
        self.result.disk_mb = round(sum(path.stat().st_size for path in self.databases) / 1e6)
        self.gateway: Gateway | None = None

    def start(self) -> None:
        """Start it anew, with cold files."""
        self.stop()
        (self.load.folder / "log").unlink(missing_ok=True)
        os.sync()
        for path in self.databases:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.monotonic()
        self.gateway = Gateway(self.load)
        self.result.start_s.append(round(time.monotonic() - began, 2))
        self.result.start_cpu_s.append(round(self.gateway.cpu_s, 2))

    def talk(self, count: int, per_s: int) -> float:
        """Send readings; return the CPU time of one, in microseconds."""
        assert self.gateway is not None
        before, cpu_s = settled(self.gateway), self.gateway.cpu_s
        send(self.load, list(islice(self.frames, count)), per_s)
        stored = settled(self.gateway) - before
        assert stored == count, f"{stored} of {count} readings were stored"
        return round((self.gateway.cpu_s - cpu_s) * 1e6 / count, 1)

    def round(self) -> None:
        """One measurement."""
        assert self.gateway is not None
        self.result.cpu_us.append(self.talk(READINGS, RATE))
        self.result.rss_mb = round(self.gateway.rss_mb, 1)

    def stop(self) -> None:
        """End the daemon, if there is one."""
        if self.gateway is not None:
            self.gateway.stop()
            self.gateway = None


def measured(folder: Path, port: int) -> list[Result]:
    """All stocks, in turns."""
    stocks = [Stock(size, folder / str(size), port) for size in SIZES]
    try:
        for _ in range(ROUNDS):
            for stock in stocks:
                stock.start()
        for stock in stocks:
            stock.talk(2 * TALKING, 200)
        for _ in range(ROUNDS):
            for stock in stocks:
                stock.round()
    finally:
        for stock in stocks:
            stock.stop()
    return [stock.result for stock in stocks]


def main() -> None:
    """Each stock once."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        results = measured(Path(name), port)
    for result in results:
        print(asdict(result), flush=True)
    small, large = results[0], results[-1]
    cpu = min(large.cpu_us) / min(small.cpu_us)
    idle_bytes = (large.rss_mb - small.rss_mb) * 1e6 / max(1, large.devices - small.devices)
    print(
        f"CPU per reading {cpu:.2f} times, start {min(large.start_s):.1f} to {max(large.start_s):.1f} s "
        f"({min(large.start_cpu_s):.1f} s of CPU), {idle_bytes:.0f} bytes of memory per device"
    )
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
