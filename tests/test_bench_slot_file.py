# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board whose node came from afar, as one file: it runs, and the bench knows it and goes on from it."""

import binascii
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.wire import update as wire
from provisioning.bench import slot_file, update
from provisioning.bench.errors import ProofFailed
from provisioning.bench.install import Installed, Installer
from provisioning.bench.package import Launcher, Package
from provisioning.bench.rehearsal import VirtualBoard
from provisioning.bench.session import Session
from provisioning.errors import BoardError
from provisioning.updates import bundle
from tests import bench_rig
from tests.bench_rig import one_board
from tests.test_bench_update import ILL, WELL, facts, runs

pytestmark = pytest.mark.timeout(300)


def build(version: int, main: bytes = WELL) -> Package:
    """Its one source is the last of its files, as in a node."""
    made = bench_rig.package(version)
    files = {path: data for path, data in made.files.items() if not path.endswith(".py")}
    head = f"import time\nprint('runs', {version})\n".encode()
    return replace(made, files=files, main=head + main + b"while True:\n    time.sleep_ms(50)\n")


@contextmanager
def from_afar(folder: Path, node: Package, damaged: bool = False) -> Iterator[VirtualBoard]:
    """A board whose slot b is a file, as a release leaves it."""
    whole = bytearray(node.slot_file)
    whole[-len(node.main) - 100] ^= damaged
    main = bundle.launcher(node).replace(wire.SLOT, b"b").decode()
    with one_board(folder, main, node.boot.decode(), {"/b.lyk": bytes(whole)}) as board:
        yield board


def install(board: VirtualBoard, node: Package) -> Installed:
    return Session(board.port, wait_s=60).do(lambda at, _repl: Installer(at, node).install(at.facts()))


def test_it_runs_and_the_bench_finds_it_complete(tmp_path: Path) -> None:
    with from_afar(tmp_path, build(1)) as board:
        assert runs(board) == b"1"
        assert facts(board) == Launcher("b", None, build(1).build)
        found = Session(board.port).do(lambda at, _repl: (at.facts().board, at.one_file("b"), at.one_file("a")))
        assert found == ("virtual", hashlib.sha256(build(1).slot_file).hexdigest(), None)
        done = install(board, build(1))
        assert (done.slot, done.sent_files, done.kept_files) == ("b", 0, len(build(1).content))
        assert runs(board) == b"1"
        back = tmp_path / "back"
        command = [sys.executable, "-m", "mpremote", "connect", str(board.port), "cp", ":/b.lyk", str(back)]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
        assert back.read_bytes() == build(1).slot_file


def test_a_damaged_one_is_not_written_over_while_it_runs(tmp_path: Path) -> None:
    with from_afar(tmp_path, build(1), damaged=True) as board:
        done = install(board, build(1))
        assert (done.slot, done.sent_files) == ("a", len(build(1).content))
        assert runs(board) == b"1"
        assert facts(board).slot == "a"


def test_an_update_by_cable_is_tried_and_undone(tmp_path: Path) -> None:
    with from_afar(tmp_path, build(1)) as board:
        with pytest.raises(ProofFailed, match="rolled back"):
            update.update(Session(board.port, wait_s=60), package=build(2, ILL["exception"]), health_s=4)
        assert [runs(board), runs(board)] == [b"1", b"1"]
        good = update.update(Session(board.port, wait_s=60), package=build(3), health_s=60)
        assert good.slot == "a"
        assert [runs(board), runs(board)] == [b"3", b"3"]
        again = update.update(Session(board.port, wait_s=60), package=build(4), health_s=60)
        assert again.slot == "b"
        assert Session(board.port).do(lambda at, _repl: at.one_file("b")) is None, "a slot is a tree or a file"
        assert runs(board) == b"4"


def test_what_a_board_could_not_read_is_not_made() -> None:
    with pytest.raises(BoardError, match="one source"):
        slot_file.check({"firmware/first.py": b"", "lykta_main.py": b""})
    slot_file.check({"firmware/first.mpy": b"", "lykta_main.py": b""})
    names: dict[int, str] = {}
    for name in (hashlib.sha256(b"%d" % n).hexdigest()[:12] for n in range(300_000)):  # some have one CRC-32
        other = names.setdefault(binascii.crc32(b"/" + name.encode()), name)
        if other != name:
            break
    assert other != name
    with pytest.raises(BoardError, match="one checksum"):
        slot_file.check({name: b"", other: b""})
