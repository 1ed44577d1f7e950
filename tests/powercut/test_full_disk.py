# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A file system that is really full under the running gateway, again and again: nothing is told that is not there.

Other tests make writes fail; here the kernel says ENOSPC, at whatever write it happens to be. Needs root, to mount one.
"""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mosquitto
from tests.gateway_rig import City, Daemon, Port, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SIZE_BYTES = 6 << 20
TURNS = 12
PATIENCE_S = 60.0


@pytest.fixture
def state(city: City) -> Iterator[Path]:
    """A small file system where the gateway keeps its state."""
    assert os.geteuid() == 0, "a file system is mounted for this: run `make powercut-test` as root"
    folder = city.folder / "state"
    folder.mkdir(mode=0o700)
    options = f"size={SIZE_BYTES},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lykta-test", str(folder)], check=True, timeout=60)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=60)


def fill(path: Path, leave_bytes: int) -> None:
    """Take all the room but *leave_bytes*."""
    found = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - leave_bytes))


def test_a_full_file_system_is_waited_for(
    city: City, port: Port, mosquitto: Mosquitto, state: Path, rng: random.Random
) -> None:
    device = city.device()
    daemon = Daemon(city.config(port.path, mosquitto.port)).ready()
    assert daemon.state_dir == state
    try:
        port.join(device)
        seq = 0
        for turn in range(TURNS):
            fill(state / "filler", rng.choice((0, 0, 4096, 8192, 65536)))
            for _ in range(rng.randrange(40, 90)):
                left = sorted(set(range(1, seq + 1)) - device.held)[:3]
                seq += 1
                port.send(device.readings(*left, seq, oldest=min([*left, seq])))
                answer = port.receive(0.05)
                if answer is not None:
                    device.take(answer)
            assert daemon.process.poll() is None, daemon.events[-5:]
            (state / "filler").unlink()
            told = set(device.held)
            if turn % 4 == 3:  # what was told is there, whatever was in memory
                daemon.kill()
                daemon = Daemon(daemon.config).ready()
            kept = daemon.stats().devices.get(device.dev_eui.hex())
            lowest_untold = next(each for each in range(1, seq + 2) if each not in told)
            assert (kept.contiguous if kept else 0) >= lowest_untold - 1
            print(f"turn {turn + 1}: {seq} sent, {len(told)} told", flush=True)

        def everything_is_told() -> bool:
            left = sorted(set(range(1, seq + 1)) - device.held)[:4]
            if left:
                port.send(device.readings(*left, oldest=left[0]))
                answer = port.receive(0.5)
                if answer is not None:
                    device.take(answer)
            return not left

        until(everything_is_told, f"all receipts; {daemon.events[-5:]}", PATIENCE_S)
        until(lambda: daemon.stats().waiting.get("city") == 0, "everything published", PATIENCE_S)
        assert daemon.stats().durable == seq, "each reading once"
        assert daemon.stop() == 0
    finally:
        daemon.kill()
