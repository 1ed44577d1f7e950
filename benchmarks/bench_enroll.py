# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Blank virtual boards enrolled at once against one: how many times as long do so many take?

Prints one JSON object; the ratio is the claim. The node is compiled before the clock starts. BOARDS is taken from the
environment.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from provisioning.bench import batch, ports  # noqa: E402
from provisioning.bench.enrolment import Bench, Enrolled, Enrolment, Wanted  # noqa: E402
from provisioning.bench.package import package_for  # noqa: E402
from provisioning.bench.rehearsal import virtual_boards  # noqa: E402
from provisioning.bench.session import Session  # noqa: E402
from provisioning.city import create_city  # noqa: E402

BOARDS = int(os.environ.get("BOARDS", "10"))


def enrolled_s(bench: Bench, count: int, seed: int) -> float:
    """Seconds until so many boards are done."""

    def job(path: str) -> Enrolled:
        wanted = Wanted(kind="street_light", board="virtual")
        enrolment = Enrolment(
            bench,
            ports.Port(path),
            wanted,
            Session(path, wait_s=60),
            step=lambda _name, _remark: None,
            confirm=lambda _what, _word: False,
        )
        return enrolment.run()

    with virtual_boards(count, seed=seed) as boards:
        begun_s = time.monotonic()
        rows = batch.run([board.port for board in boards], job)
        assert [row.error for row in rows] == [None] * count
        return time.monotonic() - begun_s


def main() -> None:
    """One board, then all of them at once."""
    package_for("virtual")
    with tempfile.TemporaryDirectory() as folder:
        city = create_city(Path(folder) / "city", "Bench")
        with city.registry() as registry:
            bench = Bench.of(city, registry)
            one_s = min(enrolled_s(bench, 1, seed) for seed in (100, 200))
            all_s = enrolled_s(bench, BOARDS, 300)
    ratio = round(all_s / one_s, 2)
    print(
        json.dumps(
            {
                "boards": BOARDS,
                "one_s": round(one_s, 2),
                "all_s": round(all_s, 2),
                "all_over_one": ratio,
                "processors": os.cpu_count(),
                "load_average": round(os.getloadavg()[0], 1),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
