# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The life of a board on the bench: blank, enrolled, reporting to the city, updated, and back from a bad update."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hil_tests.lab import bench as lab_bench
from hil_tests.lab.place import Place
from provisioning.bench import package, update
from provisioning.bench.enrolment import Bench
from provisioning.bench.errors import ProofFailed
from provisioning.bench.package import Purpose, package_for
from provisioning.demo.broker import running_broker
from tests.city import ROOT, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart, pytest.mark.slow]
_ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
PATIENCE_S = 120
HEALTH_S = 60


class Street:
    """A gateway on the board's port, a broker, and a verifier at the city's end."""

    def __init__(self, home: Path, port: str, broker: int, folder: Path) -> None:
        self._home, self._folder, self._broker = home, folder, broker
        self._config = folder / "gateway" / "gateway.toml"
        where = ("--serial-port", port, "--broker", f"127.0.0.1:{broker}")
        self._run("gateway", "enroll", "pole box", "--out", str(self._config.parent), *where)

    @contextmanager
    def reporting(self) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """While the block lasts the board has its gateway; yields what was verified so far."""
        name = f"verified-{time.monotonic_ns()}.jsonl"
        verify = ("verify", "--broker", f"127.0.0.1:{self._broker}", "--json")
        with (self._folder / name).open("wb") as out, (self._folder / "street.log").open("ab") as log:
            command = [sys.executable, "-m", "provisioning.cli", "-C", str(self._home), *verify]
            verifier = subprocess.Popen(command, env=_ENV, stdout=out, stderr=log, stdin=subprocess.DEVNULL)
            gateway_command = [sys.executable, "-m", "gateway.cli", "run", "--config", str(self._config)]
            gateway = subprocess.Popen(gateway_command, env=_ENV, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            try:
                yield lambda: self._verified(self._folder / name)
            finally:
                for process in (gateway, verifier):
                    process.terminate()
                    process.wait(60)

    def _verified(self, path: Path) -> list[dict[str, Any]]:
        *whole, _rest = path.read_text().split("\n")
        return [found for line in whole if "seq" in (found := json.loads(line))]

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "provisioning.cli", "-C", str(self._home), *arguments]
        subprocess.run(command, env=_ENV, check=True, capture_output=True, timeout=100)


@pytest.mark.needs("blank")
def test_from_blank_to_the_city_to_an_update_and_back_from_a_bad_one(place: Place, bench: Bench, folder: Path) -> None:
    place.blank()
    done = lab_bench.enrol(place, bench)
    assert place.board is not None
    real = package_for(place.board, Purpose(place.kind, frozenset({"serial"})))
    newer = replace(real, files={**real.files, "firmware/newer.mpy": real.files["firmware/__init__.mpy"]})
    worse = replace(newer, main=b"import nothing_like_this\n")
    assert done.build == real.build
    with running_broker(folder, folder, lambda: False) as (broker, _, _):
        street = Street(bench.city.home, place.port, broker.port, folder)
        with street.reporting() as verified:
            wait_until(lambda: len(verified()) >= 2, "two readings that are verified", PATIENCE_S)
            first = {reading["seq"] for reading in verified()}
            assert {reading["dev_eui"] for reading in verified()} == {done.device.dev_eui.hex()}
        good = update.update(place.session(), package=newer, health_s=HEALTH_S)
        assert (good.before, good.slot) == (real.build, "b")
        assert good.sent_bytes < 5000, "what was on the board was copied there"
        with pytest.raises(ProofFailed, match="rolled back"):
            update.update(place.session(), package=worse, health_s=HEALTH_S)
        with street.reporting() as verified:
            wait_until(lambda: len(verified()) >= 2, "readings of the build that was kept", PATIENCE_S)
            again = {reading["seq"] for reading in verified()}
        assert min(again) > min(first), "it goes on counting"
    launcher = place.session().do(lambda at, _repl: at.facts()).launcher
    assert launcher == package.Launcher("a", "b", worse.build)
    if place.lacks("state") is None:
        assert place.state()["misuses"] == 0
