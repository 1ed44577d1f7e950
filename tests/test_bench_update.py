# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Updates with a way back: a good build stays, a bad one is gone after one start, whatever interrupts it."""

from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.bench import package, update
from provisioning.bench.errors import ProofFailed
from provisioning.bench.install import Installer
from provisioning.bench.package import Package
from provisioning.bench.rehearsal import VirtualBoard
from provisioning.bench.session import Session
from tests import bench_rig
from tests.bench_rig import control, one_board

pytestmark = pytest.mark.apart

WELL = b"print('node: 0 readings wait; heap: 1 bytes used, 2 free')\n"
ILL = {
    "exception": b"raise ValueError('bad build')\n",
    "silence": b"import time\nwhile True:\n    time.sleep_ms(50)\n",
    "reset": b"import machine\nmachine.reset()\n",
}


def build(version: int, main: bytes = WELL) -> Package:
    made = bench_rig.package(version)
    return replace(made, main=b"from firmware.version import VERSION\nprint('runs', VERSION)\n" + main)


def facts(board: VirtualBoard) -> package.Launcher:
    return Session(board.port, wait_s=60).do(lambda at, _repl: at.facts()).launcher


def runs(board: VirtualBoard) -> bytes:
    """What the next start runs."""

    def hear(line: object) -> bytes:
        control(board, "reset")
        line.read_until(b"runs ", 60)  # type: ignore[attr-defined]
        said: bytes = line.read_until(b"\r\n", 60)[0]  # type: ignore[attr-defined]
        return said.rpartition(b"runs ")[2].strip()  # the reset may have come in the middle of the line before

    return Session(board.port).listen(hear)


def first(board: VirtualBoard) -> None:
    Session(board.port, wait_s=60).do(lambda at, _repl: Installer(at, build(1)).install(at.facts()))


def test_a_good_build_is_confirmed(tmp_path: Path) -> None:
    with one_board(tmp_path) as board:
        first(board)
        done = update.update(Session(board.port, wait_s=60), package=build(2), health_s=60)
        assert (done.slot, done.already) == ("b", False)
        assert facts(board) == package.Launcher("b", None, build(2).build)
        assert [runs(board), runs(board)] == [b"2", b"2"]
        assert update.update(Session(board.port, wait_s=60), package=build(2)).already


@pytest.mark.parametrize("fault", sorted(ILL))
def test_a_bad_build_is_rolled_back(tmp_path: Path, fault: str) -> None:
    with one_board(tmp_path) as board:
        first(board)
        with pytest.raises(ProofFailed, match=r"rolled back|runs the old build"):
            update.update(Session(board.port, wait_s=60), package=build(2, ILL[fault]), health_s=4)
        assert [runs(board), runs(board)] == [b"1", b"1"]
        good = update.update(Session(board.port, wait_s=60), package=build(3), health_s=60)
        assert good.slot == "b"
        assert runs(board) == b"3"


def test_power_that_fails_during_the_trial_is_a_roll_back(tmp_path: Path) -> None:
    with one_board(tmp_path) as board:
        first(board)
        Session(board.port).do(lambda at, _repl: Installer(at, build(2)).install(at.facts(), trial=True))
        assert runs(board) == b"2"
        control(board, "power_cut")
        control(board, "power_on")
        assert runs(board) == b"1"
