# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A process to be killed: adds numbered lines to day files, and notes now and then how far it came.

Usage: python -m tests.day_writer FOLDER NOTE LINES SEED
"""

import random
import sys
from pathlib import Path

from gateway.platforms.files.days import DayFiles, replace


def main(folder: Path, note: Path, lines: int, seed: int) -> None:
    rng = random.Random(seed)
    days = DayFiles(folder)
    days.open()
    at = int(note.read_text()) if note.is_file() else 0
    print("ready", flush=True)
    while at < lines:
        batch: dict[str, list[tuple[str, bytes]]] = {}
        upto = min(lines, at + rng.randint(1, 30))
        for number in range(at, upto):
            # Late lines go into yesterday's file; long ones do not fit into one page.
            day = f"2026-11-2{1 + (number % 7 > 0)}"
            batch.setdefault(day, []).append((f"s/{number}", b'{"n":%d,"x":"%s"}\n' % (number, b"y" * (number % 700))))
        print("adding", flush=True)
        days.append(batch)
        at = upto
        if rng.random() < 0.5:  # else the outbox does not hear of it, and asks again after a kill
            replace(note, [str(at).encode()])
            days.noted()
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
