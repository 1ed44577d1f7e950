# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The life of a board on the bench: blank, enrolled, reporting to the city, updated, and back from a bad update."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from hil_tests.lab import bench as lab_bench
from hil_tests.lab.place import Place
from provisioning.bench import package, update
from provisioning.bench.enrolment import Bench
from provisioning.bench.errors import ProofFailed
from provisioning.bench.package import Purpose, package_for
from provisioning.demo.broker import running_broker
from tests.city import ROOT, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.apart]
_ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
PATIENCE_S = 180
HEALTH_S = 60


class Street:
    """A gateway on the board's port, a broker, and a verifier at the city's end."""

    def __init__(self, home: Path, port: str, broker: int, folder: Path) -> None:
        self._home, self._broker = home, broker
        self._log, self._out = folder / "street.log", folder / "verified.jsonl"
        self._config = folder / "gateway" / "gateway.toml"
        where = ("--serial-port", port, "--broker", f"127.0.0.1:{broker}")
        self._run("gateway", "enroll", "pole box", "--out", str(self._config.parent), *where)

    @contextmanager
    def verifying(self) -> Iterator[None]:
        """While the block lasts the city's end listens."""
        verify = ("verify", "--broker", f"127.0.0.1:{self._broker}", "--json", "--from-start")
        command = ["provisioning.cli", "-C", str(self._home), *verify]
        with self._out.open("wb") as out, self._process(command, out):
            yield

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """While the block lasts the board has its gateway."""
        with self._log.open("ab") as log, self._process(["gateway.cli", "run", "--config", str(self._config)], log):
            yield

    def verified(self) -> list[dict[str, Any]]:
        """All readings that were verified so far."""
        *whole, _rest = self._out.read_text().split("\n")
        return [found for line in whole if "seq" in (found := json.loads(line))]

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Wait; a failure tells all that gateway and verifier said."""
        try:
            wait_until(done, what, PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._log.read_text()}\n{self._out.read_text()}") from error

    @contextmanager
    def _process(self, command: list[str], out: IO[bytes]) -> Iterator[None]:
        with self._log.open("ab") as log:
            whole = [sys.executable, "-m", *command]
            process = subprocess.Popen(whole, env=_ENV, stdout=out, stderr=log, stdin=subprocess.DEVNULL)
            try:
                yield
            finally:
                process.terminate()
                process.wait(60)

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "provisioning.cli", "-C", str(self._home), *arguments]
        subprocess.run(command, env=_ENV, check=True, capture_output=True, timeout=400)


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
        with street.verifying():
            with street.reporting():
                street.wait(lambda: len(street.verified()) >= 2, "two readings that are verified")
                assert {reading["dev_eui"] for reading in street.verified()} == {done.device.dev_eui.hex()}
            good = update.update(place.session(), package=newer, health_s=HEALTH_S)
            assert (good.before, good.slot) == (real.build, "b")
            assert good.sent_bytes < 5000, "what was on the board was copied there"
            with pytest.raises(ProofFailed, match="rolled back"):
                update.update(place.session(), package=worse, health_s=HEALTH_S)
            first = {reading["seq"] for reading in street.verified()}
            with street.reporting():
                street.wait(lambda: len(street.verified()) >= len(first) + 2, "readings of the build that was kept")
            again = {reading["seq"] for reading in street.verified()} - first
        assert min(again) > min(first), "it goes on counting"
    launcher = place.session().do(lambda at, _repl: at.facts()).launcher
    assert launcher == package.Launcher("a", "b", worse.build)
    if place.lacks("state") is None:
        assert place.state()["misuses"] == 0
