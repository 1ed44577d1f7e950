# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An emulated machine stores readings on ext4 and loses its power while it writes; the next start finds what it told.

Killed is QEMU itself: the page cache of its kernel is gone, and of the disk's image what was not flushed (qcow2 keeps
what it allocated in memory until then). Nothing else than a flush at the right moment saves a reading.
"""

import gzip
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ble_vm.machine import BUILT, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CUTS = int(os.environ.get("LYKTA_POWER_CUTS", "5"))
_START_S = 600
_KERNEL = "console=ttyS0 panic=-1 quiet mitigations=off audit=0"
_CODE = ("gateway", "firmware", "provisioning", "consumer", "tests/powercut", "tests/__init__.py")
_AT_A_TIME = 20


class Machine:
    """One disk, started again and again; nothing of it is emulated by hardware, so runs are alike everywhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._disk, self._initrd = folder / "disk.qcow2", folder / "initrd"
        backing = ("-b", str(BUILT / "disk.img"), "-F", "raw")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(self._disk)], check=True, timeout=60)
        ours = folder / "initrd.d"
        for name in _CODE:
            source, target = ROOT / name, ours / "code" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, target)
        (ours / "init").write_bytes((ROOT / "tools" / "powercut" / "init.sh").read_bytes())
        (ours / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(ours)) for path in sorted(ours.rglob("*"))).encode()
        archive = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], input=names, cwd=ours, check=True, capture_output=True, timeout=120
        )
        self._initrd.write_bytes(
            (BUILT / "initrd").read_bytes() + gzip.compress(archive.stdout)
        )  # the later init counts

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start it; what it says appears in ``said``."""
        for path in (self._told, self._console):
            path.write_bytes(b"")
        prefix = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        return subprocess.Popen(
            [
                *prefix, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-nodefaults",
                "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{self._console}",
                "-serial", f"file:{self._told}", "-kernel", str(BUILT / "vmlinuz"), "-initrd", str(self._initrd),
                "-append", f"{_KERNEL} powercut={','.join(words)}",
                "-drive", f"file={self._disk},format=qcow2,if=virtio,cache=writeback",
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def _told(self) -> Path:
        return self._folder / "told"

    @property
    def _console(self) -> Path:
        return self._folder / "console"

    def said(self) -> list[list[str]]:
        """Whole lines, in words."""
        return [line.split() for line in self._told.read_text(errors="replace").split("\n")[:-1]]

    def cut_after(self, sync: str, lines: int) -> int:
        """Let it write until it said that often that something is stored, then cut; return the highest number told."""
        process = self.start("write", sync)
        try:
            self._until(lambda: len(self.said()) >= lines, process)
        finally:
            process.kill()
            process.wait(60)
        assert all(word == "stored" for word, *_ in self.said()), self.said()[:3]
        return int(self.said()[-1][1])

    def check(self) -> list[str]:
        """Start it again; return what it found."""
        process = self.start("check")
        try:
            self._until(lambda: process.poll() is not None, process)
        finally:
            process.kill()
            process.wait(60)
        assert self.said(), self._console.read_text(errors="replace")[-2000:]
        return self.said()[-1]

    def _until(self, done: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
        end_s = time.monotonic() + _START_S
        while not done():
            console = self._console.read_text(errors="replace")[-2000:]
            assert time.monotonic() < end_s, f"nothing for {_START_S} s:\n{console}"
            assert process.poll() is None or done(), f"the machine ended:\n{console}"
            time.sleep(0.005)


def test_what_was_acknowledged_survives_every_power_cut(tmp_path: Path, rng: random.Random) -> None:
    machine, before = Machine(tmp_path), 0
    for number in range(CUTS):
        told = machine.cut_after("FULL", rng.randint(1, 60))
        word, found = machine.check()
        print(f"cut {number + 1}: told {told - before} more readings, found {int(found) - before}", flush=True)
        assert word == "found"
        assert told <= int(found) <= told + _AT_A_TIME, "all that was told, and at most one batch more"
        assert told > before
        before = int(found)


def test_a_store_that_does_not_flush_loses_them(tmp_path: Path) -> None:
    """The test of the test."""
    machine = Machine(tmp_path)
    told = machine.cut_after("OFF", 50)
    word, *found = machine.check()
    print(f"told {told} readings, then: {word} {' '.join(found)}")
    assert word != "found" or int(found[0]) < told
