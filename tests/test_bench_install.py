# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Installing the node by the raw prompt: pulled cables, power cuts, what is unchanged, what does not fit."""

import hashlib
import random
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from boards.virtual.image import list_files, read_file
from provisioning.bench import install, package
from provisioning.bench.board import Board
from provisioning.bench.errors import DamagedTransfer, NoRoom, Shadowed, WrongBytecode
from provisioning.bench.install import Installed, Installer, Progress
from provisioning.bench.package import Package
from provisioning.bench.rehearsal import VirtualBoard
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from tests import bench_rig
from tests.bench_rig import Faults, control, one_board, until

pytestmark = pytest.mark.apart

_WAIT_S = 60.0
_NEVER = 1_000_000_000


def put(
    board: VirtualBoard, what: Package, *, trial: bool = False, watchdog_ms: int = 0, attempts: int = 6
) -> Installed:
    session = Session(board.port, wait_s=_WAIT_S, watchdog_ms=watchdog_ms, attempts=attempts)

    def work(at: Board, repl: RawRepl) -> Installed:
        return Installer(at, what).install(at.facts(), trial=trial)

    return session.do(work)


def restart(board: VirtualBoard) -> bytes:
    """Reset the board; what it says until the program of a package runs."""
    said = []

    def hear(line: object) -> bytes:
        control(board, "reset")
        said.append(line.read_until(b"runs ", _WAIT_S)[0] + line.read_until(b"\n", _WAIT_S)[0])  # type: ignore[attr-defined]
        return said[0]

    return Session(board.port).listen(hear)


def test_a_blank_board_gets_the_node_and_mpremote_reads_it_back(tmp_path: Path) -> None:
    real = package.package_for("virtual")
    with one_board(tmp_path) as board:
        done = put(board, real)
        assert (done.slot, done.sent_files, done.kept_files) == ("a", len(real.content), 0)
        again = put(board, real)
        assert (again.slot, again.sent_files, again.kept_files) == ("a", 0, len(real.content))
        back = tmp_path / "back"
        command = [
            sys.executable,
            "-m",
            "mpremote",
            "connect",
            board.port,
            "cp",
            ":/a/firmware/node/app.mpy",
            str(back),
        ]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        assert back.read_bytes() == real.files["firmware/node/app.mpy"]
        code = "import sys\nsys.path.insert(0, '/a')\nimport firmware\nprint(firmware.__path__)"
        said = Session(board.port).do(lambda _at, repl: repl.run(code))
        assert said.strip() == b"/a/firmware"
        assert control(board, "state")["misuses"] == 0


def test_a_new_version_goes_into_the_other_slot_and_copies_what_it_has_there(tmp_path: Path) -> None:
    old, new = bench_rig.package(1), bench_rig.package(2)
    with one_board(tmp_path) as board:
        put(board, old)
        assert restart(board).endswith(b"runs 1\r\n")
        done = put(board, new)
        assert (done.slot, done.sent_files, done.kept_files) == ("b", 2, 5)
        assert restart(board).endswith(b"runs 2\r\n")
        back = put(board, old)  # a way back: that slot is complete still
        assert (back.slot, back.sent_files) == ("a", 0)
        assert restart(board).endswith(b"runs 1\r\n")


def test_a_third_version_needs_room_for_what_it_adds_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with one_board(tmp_path) as board:
        put(board, bench_rig.package(1))
        put(board, bench_rig.package(2))
        facts = Session(board.port).do(lambda at, _repl: at.facts())
        spare = facts.free_bytes - facts.block_bytes  # what is replaced is no more, but each beside the one before
        monkeypatch.setattr(install, "_ROOM_TO_SPARE_BYTES", spare + 1)
        with pytest.raises(
            NoRoom, match=f"{2 * facts.block_bytes} bytes more, {facts.free_bytes + facts.block_bytes} free"
        ):
            put(board, bench_rig.package(3))
        monkeypatch.setattr(install, "_ROOM_TO_SPARE_BYTES", spare)
        third = put(board, bench_rig.package(3))
        assert (third.slot, third.sent_files, third.kept_files) == ("a", 2, 5)
        assert Session(board.port).do(lambda at, _repl: at.facts()).free_bytes == facts.free_bytes
        Session(board.port).do(lambda at, _repl: at.put("/data/queue", bytes(3 * facts.block_bytes)))
        room = Session(board.port).do(lambda at, _repl: at.room("/b", "/data", facts.block_bytes))
        assert room.kept_bytes == 3 * facts.block_bytes, "readings that are there already need no room to spare"
        assert room.sizes["/manifest"] == len(bench_rig.package(2).manifest)
        monkeypatch.setattr(install, "_ROOM_TO_SPARE_BYTES", room.free_bytes)
        put(board, bench_rig.package(4))


_FILL = """
n=0
with open('/fill','wb') as f:
 try:
  while True:
   f.write(bytes(4096))
   f.flush()
   n+=4096
 except OSError:
  pass
print(n)
"""


def test_what_is_said_to_be_free_can_be_written(tmp_path: Path) -> None:
    with one_board(tmp_path) as board:
        for number in (1, 2):
            put(board, bench_rig.package(number))
        facts = Session(board.port).do(lambda at, _repl: at.facts())
        assert facts.block_bytes == 4096
        written = int(Session(board.port).do(lambda _at, repl: repl.run(_FILL)))
        assert abs(written - facts.free_bytes) <= 2 * facts.block_bytes  # their list takes room too


def test_a_version_on_trial_runs_once_and_stays_only_when_confirmed(tmp_path: Path) -> None:
    old, new = bench_rig.package(1), bench_rig.package(2)
    with one_board(tmp_path) as board:
        put(board, old)
        assert put(board, new, trial=True).trial
        assert restart(board).endswith(b"runs 2\r\n")
        assert restart(board).endswith(b"runs 1\r\n"), "nobody confirmed it"
        put(board, new, trial=True)
        assert restart(board).endswith(b"runs 2\r\n")
        Session(board.port).do(lambda at, _repl: Installer(at, new).confirm("b"))
        assert restart(board).endswith(b"runs 2\r\n")
        assert restart(board).endswith(b"runs 2\r\n")


def _fault(board: VirtualBoard, faults: Faults, rng: random.Random) -> str:
    """Arm one fault: the cable out, power cut in the middle of a flash operation, or the reset button."""
    kind = rng.choice(["cable", "power", "reset"])
    if kind == "power":
        control(board, "power_cut", after_flash_operations=rng.randrange(1, 60))
        faults.at(rng.randrange(90, 110), lambda: control(board, "power_on"))
    elif kind == "cable":
        faults.at(rng.randrange(1, 90), lambda: control(board, "unplug"))
    else:
        faults.at(rng.randrange(1, 90), lambda: control(board, "reset"))
    return kind


def _mended(board: VirtualBoard) -> None:
    """Cable in, no cut of the power in store, and the board as a person finds it who switches it on."""
    control(board, "replug")
    control(board, "power_cut")
    control(board, "power_cut", after_flash_operations=_NEVER)
    control(board, "power_on")


def _booted(at: Board, _repl: RawRepl) -> tuple[str | None, dict[str, str]]:
    """The slot that the board boots into, and the SHA-256 of all that lies in it."""
    slot = at.facts().launcher.slot
    return slot, {} if slot is None else at.tree(f"/{slot}")


def _complete(what: Package) -> dict[str, str]:
    """As `_booted` finds a version that is complete."""
    there = {f"/{path}": digest for path, digest in what.hashes.items()}
    return {**there, "/manifest": hashlib.sha256(what.manifest).hexdigest()}


def _interrupted_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random, rounds: int
) -> dict[str, int]:
    """Install versions one after the other, each with a fault; after each fault the board has one complete version."""
    faults = Faults(monkeypatch)
    count = {"cable": 0, "power": 0, "reset": 0}
    versions = [bench_rig.package(n) for n in (1, 2)]
    running: Package | None = None
    with one_board(folder) as board:
        for number in range(rounds):
            new = versions[number % 2]
            count[_fault(board, faults, rng)] += 1
            try:
                put(board, new, attempts=1)
            except Exception as error:  # noqa: BLE001  whatever it was, the board counts
                assert getattr(error, "retry", False), error
            faults.clear()
            _mended(board)
            slot, found = Session(board.port, wait_s=_WAIT_S).do(_booted)
            whole = next((each for each in versions if found == _complete(each)), None)
            assert whole is not None or (slot is None and running is None), (number, slot, sorted(found))
            assert whole in (new, running)
            put(board, new)
            assert restart(board).endswith(b"runs %d\r\n" % (number % 2 + 1))
            running = new
    return count


@pytest.mark.timeout(300)
def test_pulled_cables_power_cuts_and_resets_leave_one_complete_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random
) -> None:
    assert sum(_interrupted_install(tmp_path, monkeypatch, rng, 3).values()) == 3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random) -> None:
    print(_interrupted_install(tmp_path, monkeypatch, rng, 200))


def test_a_cable_that_is_put_back_costs_the_file_in_hand(tmp_path: Path) -> None:
    new = bench_rig.package(1)
    with one_board(tmp_path) as board:

        def pull(at: Progress) -> None:
            if hands or not at.done_bytes:
                return
            control(board, "unplug")
            hand = threading.Timer(0.5, lambda: control(board, "replug"))
            hands.append(hand)
            hand.start()

        hands: list[threading.Timer] = []
        session = Session(board.port, wait_s=_WAIT_S)
        done = session.do(lambda at, _repl: Installer(at, new, pull).install(at.facts()))
        assert session.interruptions > 0
        for hand in hands:
            hand.join()
        assert done.kept_files > 0, "what had arrived was not sent again"
        assert restart(board).endswith(b"runs 1\r\n")


def test_a_watchdog_that_nobody_can_stop_is_fed(tmp_path: Path) -> None:
    main = "import machine\nwdt = machine.WDT(timeout=1500)\nwhile True:\n    wdt.feed()\n"
    with one_board(tmp_path, main) as board:
        put(board, bench_rig.package(1), watchdog_ms=1500)
        began = control(board, "state")
        repl_kept = Session(board.port, watchdog_ms=1500).do(lambda _at, repl: repl.run("import time\ntime.sleep(3)"))
        assert repl_kept == b""
        assert (began["watchdog_ms"], control(board, "state")["watchdog_bites"]) == (1500, 0)


def test_a_damaged_byte_is_noticed_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Board._run

    def torn(board: Board, code: str | bytes, timeout_s: float = 30.0) -> bytes:
        text = code.encode() if isinstance(code, str) else code
        found = re.search(rb"_lw\('/~lykta\.part',(?:_lz\()?b'[^\\]*?([g-wyz])", text)  # no byte of an escape
        if found is not None:
            text = text[: found.start(1)] + b"f" + text[found.end(1) :]
        return original(board, text, timeout_s)

    monkeypatch.setattr(Board, "_run", torn)
    with one_board(tmp_path) as board, pytest.raises(DamagedTransfer, match="does not give back what was sent"):
        put(board, bench_rig.package(1), attempts=1)
    assert "/main.py" not in list_files(board.image)


def test_stale_sources_are_found(tmp_path: Path) -> None:
    with one_board(tmp_path, files={"/asyncio.py": b"", "/lib/notes.py": b"", "/a/firmware/old.py": b"x"}) as board:
        session = Session(board.port)
        with pytest.raises(Shadowed, match=r"/asyncio\.py"):
            session.do(lambda at, _repl: install.refuse_shadows(at))
        assert session.do(lambda at, _repl: install.refuse_shadows(at, remove=True)) == ["/asyncio.py"]
        assert put(board, bench_rig.package(1)).removed == ("/a/firmware/old.py",)
    assert read_file(board.image, "/lib/notes.py") == b""


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    new = bench_rig.package(1)
    with one_board(tmp_path) as board:
        facts = Session(board.port).do(lambda at, _repl: at.facts())
        install.check_fit(facts, new, "virtual")
        with pytest.raises(WrongBytecode, match=r"loads \.mpy version 5"):
            install.check_fit(replace(facts, mpy=5), new, "virtual")
        with pytest.raises(WrongBytecode, match=r"1\.20\.0"):
            install.check_fit(replace(facts, version=(1, 20, 0)), new, "heltec_v3")
        with pytest.raises(NoRoom, match="no file system"):
            install.check_fit(replace(facts, size_bytes=0), new, "virtual")
        large = replace(new, files={**new.files, "firmware/large.mpy": bytes(1_100_000)})
        with pytest.raises(NoRoom, match="does not fit"):
            put(board, large)
    assert "/main.py" not in list_files(board.image)
    until(lambda: not Path(board.port).exists(), "the port to go")
