# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How the register takes 1 000, 10 000 and 100 000 devices: what one device costs must not grow with the city.

Prints one JSON object. Times are medians of single operations in an open register, in milliseconds of wall time on one
busy computer; `import_ms_per_device` is a batch of 5 000 in one transaction. Devices stand as dense in each size, so a
search finds as many. `growth` is the time at the largest size as a multiple of that at the smallest.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from provisioning.keys import new_kek  # noqa: E402
from provisioning.model.device import DeviceRecord  # noqa: E402
from provisioning.register import desk, log  # noqa: E402
from provisioning.register.registration import Options, register  # noqa: E402
from provisioning.registry import Registry  # noqa: E402
from tests.postgres import Postgres  # noqa: E402
from tests.register_rig import record  # noqa: E402

SIZES = (1_000, 10_000, 100_000)
BATCH = 5_000
REPEATS = 40
SPREAD_DEG = 0.4
"""Side of a city of 100 000 devices."""


def device(number: int, size: int, rng: random.Random) -> DeviceRecord:
    side = SPREAD_DEG * (size / 100_000) ** 0.5
    place = {"lat": 59.2 + rng.random() * side, "lon": 17.8 + rng.random() * side * 2}
    return record(number, location={**place, "segment_id": f"S-{number // 20}", "direction": "N"})


def median_ms(action: Callable[[int], object]) -> float:
    times = []
    for number in range(REPEATS):
        start = time.perf_counter()
        action(number)
        times.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times), 2)


def fill(registry: Registry, size: int, rng: random.Random) -> float:
    start = time.perf_counter()
    for first in range(0, size, BATCH):
        rows = [device(number, size, rng) for number in range(first, min(first + BATCH, size))]
        with registry.change() as change:
            results = register(change, registry.keys(), rows, Options())
        assert all(result.error is None for result in results)
    return round((time.perf_counter() - start) * 1000 / size, 2)


def measure(registry: Registry, size: int, rng: random.Random) -> dict[str, float]:
    figures = {"import_ms_per_device": fill(registry, size, rng)}
    side = SPREAD_DEG * (size / 100_000) ** 0.5
    found = []

    def near(_number: int) -> None:
        with registry.stock() as stock:
            place = (59.2 + rng.random() * side, 17.8 + rng.random() * side * 2)
            found.append(len(stock.devices_near(*place, 300)))

    eui = lambda: bytes.fromhex(f"70b3d57ed{rng.randrange(size):07x}")  # noqa: E731
    figures["register_ms"] = median_ms(
        lambda number: desk.register_one(registry, device(1_000_000 + number, size, rng), Options())
    )
    figures["show_ms"] = median_ms(lambda _: desk.show(registry, f"TRK-{rng.randrange(1, size):04}"))
    figures["near_300_m_ms"] = median_ms(near)
    figures["near_300_m_found"] = round(statistics.mean(found), 1)
    figures["gateway_device_ms"] = median_ms(lambda _: registry.device(eui()))
    figures["gateway_app_key_ms"] = median_ms(lambda _: registry.app_key(eui()))
    start = time.perf_counter()
    with registry.stock() as stock:
        count = sum(1 for _ in stock.devices())
    figures["read_all_us_per_device"] = round((time.perf_counter() - start) * 1e6 / count, 1)
    start = time.perf_counter()
    with registry.reading() as connection:
        entries = log.verify(connection).seq
    figures["log_verify_us_per_entry"] = round((time.perf_counter() - start) * 1e6 / entries, 1)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--postgresql", action="store_true", help="in a server of its own instead of a file")
    options = parser.parse_args()
    server = Postgres() if options.postgresql else None
    results: dict[str, dict[str, float]] = {}
    try:
        for size in options.sizes:
            with tempfile.TemporaryDirectory() as folder:
                url = server.url() if server else "sqlite:///register.db"
                with Registry.create(url, new_kek(), city="Bench", base=Path(folder)) as registry:
                    results[str(size)] = measure(registry, size, random.Random(size))
    finally:
        if server:
            server.stop()
    first, last = results[str(min(options.sizes))], results[str(max(options.sizes))]
    growth = {name: round(last[name] / value, 2) for name, value in first.items() if value and name.endswith("_ms")}
    database = "postgresql" if server else "sqlite"
    print(json.dumps({"database": database, "devices": results, "growth": growth}, indent=2))


if __name__ == "__main__":
    main()
