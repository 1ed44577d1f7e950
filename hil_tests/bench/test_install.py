# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node gets on a blank board whatever happens to the cable and the power meanwhile."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hil_tests.lab.place import Place
from provisioning.bench.board import Board
from provisioning.bench.install import Installed, Installer, Progress
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.bench.repl import RawRepl

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
BACK_S = 1.0
WITNESS = "firmware/node/app.mpy"


def node_for(place: Place) -> Package:
    assert place.board is not None
    return package_for(place.board, Purpose(place.kind, frozenset({"serial"})))


def installed(place: Place, node: Package, at_part: float, hurt: Callable[[], object]) -> tuple[Installed, int]:
    """Install, and do something once so much is done; how it ended, and after how many interruptions."""
    hurts = [hurt]

    def report(progress: Progress) -> None:
        if hurts and progress.done_bytes > at_part * progress.total_bytes:
            hurts.pop()()

    def work(at: Board, _repl: RawRepl) -> Installed:
        return Installer(at, node, report).install(at.facts())

    session = place.session()
    done = session.do(work)
    assert not hurts, "nothing was done to the board"
    return done, session.interruptions


def complete(place: Place, node: Package) -> bool:
    def look(at: Board, _repl: RawRepl) -> bool:
        slot = at.facts().launcher.slot
        there = at.tree(f"/{slot}")
        return all(there.get(f"/{path}") == digest for path, digest in node.hashes.items())

    return place.session().do(look)


@pytest.mark.needs("blank", "cable")
def test_an_installation_resumes_after_a_pulled_cable(place: Place, folder: Path) -> None:
    place.blank()
    node = node_for(place)
    hands: list[threading.Timer] = []

    def pull() -> None:
        place.cable(False)
        hands.append(threading.Timer(BACK_S, place.cable, [True]))
        hands[0].start()

    done, interruptions = installed(place, node, 0.4, pull)
    hands[0].join()
    assert interruptions >= 1
    assert done.kept_files > 0, "what had arrived was not sent again"
    assert complete(place, node)
    back = folder / "back"
    command = [sys.executable, "-m", "mpremote", "connect", place.port, "cp", f":/{done.slot}/{WITNESS}", str(back)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert back.read_bytes() == node.files[WITNESS]


@pytest.mark.needs("blank", "power")
def test_an_installation_resumes_after_a_power_cut(place: Place) -> None:
    place.blank()
    node = node_for(place)

    def cut() -> None:
        place.power(False)
        place.power(True)

    done, interruptions = installed(place, node, 0.6, cut)
    assert interruptions >= 1
    assert done.kept_files > 0
    assert complete(place, node)
