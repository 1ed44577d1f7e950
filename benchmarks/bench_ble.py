# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Twenty boards with the shipped firmware on one gateway by Bluetooth, five at a time, while boards lose power.

Prints one JSON object: readings that the boards made, that the gateway has on disk, that wait on the boards still (they
measure until they are switched off), that neither has and that are there twice (none); and what the daemon took, air
and boards not counted: processor time as a share of one core, and memory at the end over that at the start. Fails when
a reading is lost or there twice. BOARDS, SECONDS and SEED are taken from the environment: `SECONDS=600` is the long
run.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from boards.virtual.ble.air import Conditions  # noqa: E402
from boards.virtual.ble.bleak_backend import SOCKET  # noqa: E402
from gateway.outbox.stats import Stats  # noqa: E402
from provisioning.demo.flash import read_queue  # noqa: E402
from tests.ble_air_rig import BOARD, BleBoard, ble_air, make_board  # noqa: E402
from tests.gateway_rig import City, Daemon  # noqa: E402

BOARDS = int(os.environ.get("BOARDS", "20"))
SECONDS = float(os.environ.get("SECONDS", "60"))
SEED = int(os.environ.get("SEED", "1"))
CHURN_S = 3.0
DRAIN_S = 180.0
INTERVAL_MS = 5000
LINK = """type = "ble"
name = "ble"
backend = "boards.virtual.ble.bleak_backend:AIR"
connections = 5
turn_s = 5.0
prove_s = 5.0
"""


def configure(city: City) -> Path:
    """A gateway with Bluetooth instead of a serial line."""
    path = city.config("unused", 1)
    path.write_text(path.read_text().replace('type = "serial"\nname = "bench"\nport = "unused"\n', LINK))
    return path


def images(city: City, folder: Path) -> dict[str, Path]:
    """A registered board each, by DevEUI."""
    made = {}
    for number in range(1, BOARDS + 1):
        device = city.device(number)
        own = {"dev_eui": device.dev_eui, "join_eui": device.join_eui, "app_key": device.app_key}
        made[device.dev_eui.hex()] = make_board(folder / f"board{number}", interval_ms=INTERVAL_MS, **own)
    return made


def accounts(made: dict[str, Path], found: Stats) -> dict[str, int]:
    """Compare what the gateway holds with what the flash of each board says; the boards are switched off."""
    total = {"made": 0, "durable": found.durable, "waiting_on_boards": 0, "lost": 0}
    held_of_all = 0
    for eui, image in made.items():
        queue, device = read_queue(image, BOARD), found.devices[eui]
        held = set(range(1, device.contiguous + 1)).union(*(range(low, high + 1) for low, high in device.runs_above))
        last = max([queue.receipted, *queue.seqs, *held])
        total["made"] += last
        total["waiting_on_boards"] += len(queue.waiting - held)
        total["lost"] += len(set(range(1, last + 1)) - held - queue.waiting)
        held_of_all += len(held)
    return total | {"twice": found.durable - held_of_all}


async def settled(daemon: Daemon) -> None:
    """Nobody is cut off any more: wait until no gap is left below what is held."""
    end_s = asyncio.get_running_loop().time() + DRAIN_S
    while asyncio.get_running_loop().time() < end_s:
        await asyncio.sleep(CHURN_S)
        if not any(each.runs_above for each in daemon.stats().devices.values()):
            return


async def live(image: Path, air: Path, number: int, cuts: asyncio.Queue[None], done: asyncio.Event) -> None:
    """Run one board; whenever something is in *cuts*, some board loses its power, and gets it back."""
    while not done.is_set():
        async with BleBoard(image, air, number):
            cut, end = asyncio.create_task(cuts.get()), asyncio.create_task(done.wait())
            await asyncio.wait([cut, end], return_when=asyncio.FIRST_COMPLETED)
            cut.cancel()
            end.cancel()


async def run(folder: Path) -> dict[str, object]:
    """Return what the module's docstring says."""
    city, rng = City(folder / "city"), random.Random(SEED)
    made = images(city, folder)
    done = asyncio.Event()
    queues: list[asyncio.Queue[None]] = [asyncio.Queue() for _ in made]
    async with AsyncExitStack() as stack:
        _, air = await stack.enter_async_context(ble_air(folder, Conditions(loss=0.02, delay_s=0.01), SEED))
        os.environ[SOCKET] = str(air)
        daemon = Daemon(configure(city)).ready()
        stack.callback(daemon.kill)
        process = psutil.Process(daemon.process.pid)
        tasks = [
            asyncio.create_task(live(image, air, number, queues[number], done))
            for number, image in enumerate(made.values())
        ]
        await asyncio.sleep(SECONDS / 4)
        rss_bytes, cpu_s = process.memory_info().rss, sum(process.cpu_times()[:2])
        began_s = asyncio.get_running_loop().time()
        cuts = 0
        while asyncio.get_running_loop().time() - began_s < SECONDS * 3 / 4:
            await asyncio.sleep(CHURN_S)
            rng.choice(queues).put_nowait(None)
            cuts += 1
        took_s = asyncio.get_running_loop().time() - began_s
        cpu = (sum(process.cpu_times()[:2]) - cpu_s) / took_s
        grown = process.memory_info().rss / rss_bytes
        await settled(daemon)
        links = daemon.counters("links")
        done.set()
        await asyncio.gather(*tasks)
        await asyncio.to_thread(daemon.stop)
        stats = daemon.stats()
    return {
        "boards": BOARDS,
        "seconds": SECONDS,
        "power_cuts": cuts,
        "devices_heard": len(stats.devices),
        "readings": accounts(made, stats),
        "cpu_share_of_a_core": round(cpu, 3),
        "memory_mib": round(process_mib(rss_bytes * grown), 1),
        "memory_at_the_end_over_the_start": round(grown, 3),
        "links": links,
    }


def process_mib(size_bytes: float) -> float:
    """Bytes as MiB."""
    return size_bytes / 2**20


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(Path(folder)))
    print(json.dumps(found, indent=2))
    readings = found["readings"]
    if not isinstance(readings, dict) or readings["lost"] or readings["twice"]:
        sys.exit("readings were lost, or are there twice")


if __name__ == "__main__":
    main()
