# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long the rules take: one record, and an audit of a whole city in memory. Sizes as arguments: 1000 100000."""

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from provisioning.guidelines.engine import guidelines  # noqa: E402
from provisioning.guidelines.findings import Mode  # noqa: E402
from provisioning.model.device import DeviceRecord  # noqa: E402
from provisioning.model.memory import MemoryStock  # noqa: E402
from tests.guideline_rig import NOW, record, stock_of  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "guidelines.json"
SIZES = (1_000, 10_000, 100_000)


def city(size: int) -> MemoryStock:
    """Counters on a grid of 400 m, so that each has neighbours in its grid cell and none within its radius."""
    snapshot = stock_of()
    one = DeviceRecord.model_validate_json(json.dumps(record("counter", {"/id": "TRK-0001"})))
    side = round(size**0.5) + 1
    devices = []
    for number in range(size):
        place = one.location and one.location.model_copy(
            update={"lat": 50 + number // side * 0.0036, "lon": 10 + number % side * 0.0072, "segment_id": None}
        )
        devices.append(one.model_copy(update={"id": f"TRK-{number:06d}", "location": place, "credentials": None}))
    return MemoryStock(
        devices,
        organisations=snapshot.organisations,
        role_holders=snapshot.role_holders,
        platforms=snapshot.platforms,
        as_of=NOW,
    )


def measure(size: int) -> dict[str, float]:
    """Milliseconds for one record, and seconds for all."""
    stock = city(size)
    rules = guidelines(stock, stock_of().pack(), mode=Mode.AUDIT, now=NOW)
    middle = stock.device(f"TRK-{size // 2:06d}")
    assert middle is not None
    began = time.perf_counter()
    for _ in range(50):
        rules.evaluate(middle)
    one_ms = (time.perf_counter() - began) / 50 * 1000
    began = time.perf_counter()
    blocked = sum(each.verdict == "blocked" for each in rules.audit())
    audit_s = time.perf_counter() - began
    assert blocked == size  # none has credentials
    return {"devices": size, "one_ms": round(one_ms, 2), "audit_s": round(audit_s, 2)}


def main() -> None:
    """Measure and keep the numbers; the ratio tells whether an audit is linear."""
    found = [measure(int(size)) for size in sys.argv[1:] or SIZES]
    first, last = found[0], found[-1]
    per_device = (last["audit_s"] / last["devices"]) / (first["audit_s"] / first["devices"])
    result = {"sizes": found, "audit_time_per_device_of_the_largest_to_the_smallest": round(per_device, 2)}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
