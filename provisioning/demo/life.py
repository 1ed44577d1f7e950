# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board's life on the bench, told as it goes: blank, enrolled, reporting, updated, back from a bad update."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from boards import schema
from provisioning.bench import flash, loader_drive, ports, update
from provisioning.bench.board import Board, Facts
from provisioning.bench.enrolment import Bench, Enrolled, Enrolment, Wanted
from provisioning.bench.errors import ProofFailed
from provisioning.bench.package import Purpose, package_for
from provisioning.bench.rehearsal import VirtualBoard, virtual_boards
from provisioning.bench.repl import RawRepl
from provisioning.bench.session import Session
from provisioning.city import create_city
from provisioning.demo.broker import running_broker
from provisioning.demo.street import Street
from provisioning.errors import DemoError
from provisioning.private_files import make_directory
from provisioning.verification import reading_line

Tell = Callable[[str], None]
LOADER_BOARD: Final = "pico_w_waveshare"
"""Its loader is a drive, which can be imitated."""
INTERVAL_MS: Final = 1000
HEALTH_S: Final = 90.0
_READINGS: Final = 3
_LINE: Final = 130
_STEPS: Final = {
    "look": "look: which MicroPython, which board, is it somebody's",
    "register": "register: a DevEUI, and a key that lies nowhere else but on the board",
    "install": "install: the node, read back and compared by SHA-256",
    "prove": "prove: it joins with its own key and tests itself, the bench is its network",
    "finish": "finish: what the bench left on it is wiped, its identity confirmed by a keyed fingerprint",
    "record": "record: signed by the bench, kept in the register",
    "label": "label: PNG and ZPL",
}
_WAIT_S: Final = 60.0


@dataclass
class Story:
    """What came of it. `seqs`: the numbers of the readings that the city verified, in the order of their arrival."""

    dev_eui: str = ""
    label: Path | None = None
    first_build: str = ""
    kept_build: str = ""
    rolled_back: str = ""
    seqs: list[int] = field(default_factory=list)
    seconds: float = 0.0


def live(folder: Path, kind: str, tell: Tell, note: Tell) -> Story:
    """Tell the life of one virtual board in *folder*. Raises DemoError and every other ProvisioningError."""
    begun_s = time.monotonic()
    story = Story()
    city = create_city(folder / "city", "Teststad")
    logs = folder / "broker"
    make_directory(logs)
    with ExitStack() as stack:
        tell("1  A board from its factory")
        _flashed(folder, tell)
        (board,) = stack.enter_context(virtual_boards(1, folder=folder / "board"))
        found = ports.asked(ports.Port(board.port))
        tell(f"   {board.port} answers: {_version(found.facts)}, no node, {_free(found.facts)}")
        tell(f"2  It is enrolled as a {kind.replace('_', ' ')}")
        registry = stack.enter_context(city.registry())
        enrolled = _enrolled(Bench.of(city, registry), board, kind, tell)
        story.dev_eui, story.first_build = enrolled.device.dev_eui.hex(), enrolled.build
        story.label = city.home / "bench" / "labels" / f"{story.dev_eui}.png"
        broker, _, program = stack.enter_context(running_broker(folder, logs, lambda: False))
        street = Street(city, folder, board.port, broker, lambda _text: None)
        tell(f"3  It reports: board, gateway, {program.split()[0]}, and a verifier at the city's end")
        _reports(street, _READINGS, tell)
        _updated(Session(board.port, wait_s=_WAIT_S), kind, story, tell)
        tell("6  It reports on, as if nothing had been")
        _reports(street, _READINGS, tell)
        story.seqs = street.seqs
    story.seconds = time.monotonic() - begun_s
    _judged(street, story)
    note(f"readings {min(story.seqs)} to {max(story.seqs)}: each was verified once, none is missing")
    return story


def _flashed(folder: Path, tell: Tell) -> None:
    """MicroPython, on the stand-in for a loader's drive: it takes the image, and runs nothing of it."""
    loaded = schema.load_board(LOADER_BOARD)
    if loaded.bench is None:
        raise DemoError("This board is not flashed.", value=LOADER_BOARD)
    image = loader_drive.made_up(folder, loaded.board.mcu)
    with loader_drive.waiting(folder / "drive", LOADER_BOARD, loaded.bench) as drive:
        port = ports.drive_at(drive) or ports.Port(str(drive))
        tell("   its flash is erased; its loader waits as a drive (an imitation of a Pico W's)")
        flash.flash(port, LOADER_BOARD, loaded.bench, image, mcu=loaded.board.mcu, erase=False, tell=lambda _text: None)
    tell(f"   it takes {image.path.name}, SHA-256 {image.sha256[:16]}..., and restarts")


def _enrolled(bench: Bench, board: VirtualBoard, kind: str, tell: Tell) -> Enrolled:
    def step(name: str, remark: str) -> None:
        tell(f"   {_STEPS.get(name, name)}")

    job = Enrolment(
        bench,
        ports.Port(board.port),
        Wanted(kind=kind, board="virtual", interval_ms=INTERVAL_MS),
        Session(board.port, wait_s=_WAIT_S),
        step=step,
        confirm=lambda _what, _word: False,
    )
    done = job.run()
    works = sorted(name for name, verdict in done.proof.self_test.items() if verdict == "works")
    tell(f"   it joined with its own key; at work: {', '.join(works)}")
    tell(f"   label: {done.label.code}")
    return done


def _reports(street: Street, count: int, tell: Tell) -> None:
    known = len(street.readings)
    with street.reporting():
        # What is new comes first: what the board kept meanwhile fills the gap before it.
        street.wait(
            lambda: len(street.readings) >= known + count and street.complete, f"{count} readings without a gap"
        )
    came = sorted(street.readings[known:], key=lambda reading: reading.seq)
    for reading in came[-count:]:
        line = reading_line("", reading).split(" [")[0]
        tell(f"   verified: {textwrap.shorten(line, _LINE, placeholder=' ...')}")
    if len(came) > count:
        tell(f"   and {len(came) - count} that the board had kept meanwhile: {came[0].seq} to {came[-count - 1].seq}")


def _updated(session: Session, kind: str, story: Story, tell: Tell) -> None:
    """A build that works, then one that does not."""
    real = package_for("virtual", Purpose(kind, frozenset({"serial"})))
    newer = replace(real, files={**real.files, "firmware/newer.mpy": real.files["firmware/__init__.mpy"]})
    worse = replace(newer, main=b"import nothing_like_this\n")
    tell(f"4  It gets build {newer.build}: on trial for one start, kept when it has made a reading")
    done = update.update(session, package=newer, health_s=HEALTH_S)
    tell(f"   {done.sent_bytes} bytes sent, the rest was on the board; it works, and is kept in slot {done.slot}")
    tell(f"5  It gets build {worse.build}, which does not start")
    try:
        update.update(session, package=worse, health_s=HEALTH_S)
    except ProofFailed as error:
        story.rolled_back = f"{error.state} {error.value}"
        tell(f"   {error.state}")
        tell(f"   its last words: {_last_words(str(error.value))}")
    story.kept_build = _runs(session)
    if story.kept_build != newer.build:
        raise DemoError("The board does not run the build that it ran before.", value=story.kept_build)
    tell(f"   it runs {story.kept_build} again, from slot {done.slot}")


def _last_words(said: str) -> str:
    """The name of the exception, where there was one."""
    lines = said.replace("\\r", "").replace("\\n", "\n").replace("\\'", "'")  # they come as Python writes them
    found: list[str] = re.findall(r"\w+Error: .*", lines)
    if not found:
        return " ".join(lines.split())[-_LINE:]
    return found[-1][:-1] if lines.endswith(found[-1]) else found[-1]  # the last quotation mark is Python's


def _runs(session: Session) -> str:
    """The build that runs, as the manifest of its slot says."""

    def look(board: Board, repl: RawRepl) -> str:
        found = board.run("import sys\nprint(open(sys.path[0] + '/manifest').readline())").split()
        repl.soft_reset_and_leave()
        return found[1].decode("ascii", "replace") if len(found) > 1 else ""

    return session.do(look)


def _judged(street: Street, story: Story) -> None:
    if not story.rolled_back or not street.complete:
        raise DemoError(
            "The life of this board has a hole.", value=f"readings {story.seqs}", reason="\n".join(street.problems)
        )


def _version(facts: Facts | None) -> str:
    return "nothing" if facts is None else f"MicroPython {facts.version_text}"


def _free(facts: Facts | None) -> str:
    return "" if facts is None else f"{facts.free_bytes // 1000} KB of its new file system are free"
