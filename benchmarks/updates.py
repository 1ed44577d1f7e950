# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How long a signed release takes to one board, through the shipped gateway, from the plan to the confirmed build.

``python benchmarks/updates.py serial|lora|bin [delta] [flash=KIB]`` prints one JSON object. On a serial line:
processes, in this computer's time. By LoRa: in stepped time, so that the seconds are those of the air: to a lamp (class
C), and to a waste bin in deep sleep that sends a reading each half an hour (class A). Without ``delta`` the bundle has
all files of the node, with it those of which one is new. With ``flash`` the board by LoRa has so much room for files,
not that of its file: 2048 is a LilyGO T3-S3's.
"""

import json
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from boards.schema import load_board  # noqa: E402
from boards.virtual import stepped  # noqa: E402
from provisioning.bench.package import Package, Purpose, package_for  # noqa: E402
from provisioning.updates import release, rollout  # noqa: E402
from tests.rollout_rig import Street  # noqa: E402
from tests.stepped_street import SteppedStreet  # noqa: E402

BOARDS = {
    "serial": ("virtual", "street_light", {"serial"}),
    "lora": ("virtual", "street_light", {"serial", "lora"}),
    "bin": ("virtual_waste_bin", "waste_bin", {"serial", "lora"}),
}
LONGEST_S = 400_000


def packages(which: str) -> tuple[Package, Package]:
    """The node that runs, and one that has a file more."""
    board, kind, links = BOARDS[which]
    old = package_for(board, Purpose(kind, frozenset(links)))
    return old, replace(old, files={**old.files, "firmware/newer.mpy": old.files["firmware/__init__.mpy"]})


def by_line(folder: Path, delta: bool) -> dict[str, Any]:
    """Through the gateway's serial link."""
    old, new = packages("serial")
    street = Street(folder, old, 1)
    street.patience_s = 1800
    base = release.Base.of(old) if delta else None
    made = release.make(new, 1, street.key, base=base, health_s=600)
    street.lykta("update", "plan", street.save(made, "full"), street.boards[0].dev_eui.hex())
    with street.running():
        street.lykta("update", "start", "full")
        street.until("full", lambda boards: boards[0].state == rollout.SENDING, "the offer")
        begun_s = time.monotonic()
        street.until("full", lambda boards: boards[0].state not in (rollout.SENDING, rollout.WAITING), "the whole")
        whole_s = time.monotonic() - begun_s
        (ended,) = street.until("full", lambda boards: boards[0].state in rollout.ENDED, "the end")
        assert ended.state == rollout.CONFIRMED, ended
        return {
            "bundle_bytes": len(made.bundle),
            "sent_s": round(whole_s, 1),
            "confirmed_s": round(time.monotonic() - begun_s, 1),
        }


def by_air(folder: Path, which: str, delta: bool, flash_kib: int | None) -> dict[str, Any]:
    """By LoRa, in stepped time."""
    old, new = packages(which)
    hardware = load_board(old.board)
    if flash_kib is not None:
        flash = hardware.flash.model_copy(update={"bytes": 1024 * flash_kib})
        hardware = hardware.model_copy(update={"flash": flash})
    found: dict[str, Any] = {"flash_bytes": hardware.flash.bytes}

    async def live() -> None:
        interval_s = 1800 if which == "bin" else 60
        street = SteppedStreet(folder, old, random.Random(1), interval_s=interval_s, hardware=hardware)
        base = release.Base.of(old) if delta else None
        made = release.make(new, 1, street.key, base=base, health_s=7200)
        found["bundle_bytes"] = len(made.bundle)
        async with street.running():
            if which == "bin":
                await street.board.until(lambda state: state["deep_sleeps"] > 2, LONGEST_S)
            now_s, begun_s = stepped.clock(), stepped.clock()()
            street.roll_out(made, "one")
            states = (rollout.SENDING, rollout.WAITING)
            await street.until("one", lambda board: board.state not in states, "the whole", LONGEST_S)
            found["sent_s"] = round(now_s() - begun_s)
            ended = await street.until("one", lambda board: board.state in rollout.ENDED, "the end", LONGEST_S)
            found["confirmed_s"] = round(now_s() - begun_s)
            assert ended.state == rollout.CONFIRMED, ended
            street.expect_lawful()

    stepped.run(live(), 2 * LONGEST_S)
    return found


def main() -> None:
    """One of them."""
    which, delta = sys.argv[1], "delta" in sys.argv[2:]
    flash_kib = next((int(each[6:]) for each in sys.argv[2:] if each.startswith("flash=")), None)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = by_line(place, delta) if which == "serial" else by_air(place, which, delta, flash_kib)
    here = {"took_s": round(time.monotonic() - begun_s), "load_average": round(os.getloadavg()[0], 1)}
    print(json.dumps({"by": which, "files": "changed" if delta else "all", **found, **here}))


if __name__ == "__main__":
    main()
