# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Install the node on a board: into the slot that does not run, file by file, committed by one rename.

Nothing of it needs a memory of its own: what is there is read from the board, so a pulled cable or a power cut costs
the file in hand.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from boards import schema
from boards.errors import BoardsError
from provisioning.bench.board import CHUNK_BYTES, Board, Facts
from provisioning.bench.errors import NoRoom, Shadowed, WrongBoard, WrongBytecode
from provisioning.bench.package import MANIFEST, TRIAL, Package
from provisioning.bench.slot_file import SUFFIX

_ROOM_TO_SPARE_BYTES: Final = 40_000
"""For readings, sessions and the directory itself; what of them is there already counts."""
_LEAST_ROOM_BYTES: Final = 8192
_SHADOWS: Final = frozenset(
    {"asyncio", "binascii", "collections", "errno", "firmware", "gc", "hashlib", "io", "json", "machine", "math"}
    | {"micropython", "os", "random", "select", "struct", "sys", "time", "bluetooth", "cryptolib"}
)


@dataclass(frozen=True)
class Progress:
    """How far the transfer is."""

    done_bytes: int
    total_bytes: int
    path: str


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Installed:
    """What an installation did."""

    slot: str
    build: str
    sent_files: int
    sent_bytes: int
    kept_files: int
    """Unchanged in the slot, or copied from the other one on the board."""
    removed: tuple[str, ...]
    """Files that did not belong into the slot, with stale sources that would have shadowed the node."""
    seconds: float
    trial: bool = False


def check_fit(facts: Facts, package: Package, name: str) -> None:
    """Refuse a board that cannot run the package. Raises WrongBytecode, WrongBoard, NoRoom."""
    needed = next(iter(data[1] for path, data in package.files.items() if path.endswith(".mpy")))
    if facts.mpy != needed:
        raise WrongBytecode(
            "This board's MicroPython does not load what mpy-cross writes.",
            value=f"MicroPython {facts.version_text} loads .mpy version {facts.mpy or 'none'}; the node is {needed}",
            reason="It would end with 'incompatible .mpy file' at the next start.",
            next_step=f"lykta flash PORT --board {name} puts a MicroPython that fits on it",
        )
    board = _board(name)
    if board.facts is not None:
        minimum = tuple(int(part) for part in board.facts.micropython_minimum.split("."))
        if facts.version[: len(minimum)] < minimum:
            raise WrongBytecode(
                "This MicroPython is older than the board's file asks for.",
                value=f"{facts.version_text}, not {board.facts.micropython_minimum}",
                next_step=f"lykta flash PORT --board {name}",
            )
    if facts.size_bytes == 0:
        raise NoRoom(
            "The board has no file system.",
            value=facts.machine,
            reason="Its flash was never formatted, or its file system is destroyed.",
            next_step=f"lykta flash PORT --board {name} --erase",
        )


def refuse_shadows(board: Board, remove: bool = False) -> list[str]:
    """Find files in the root and in /lib that would be loaded in the place of what the node imports.

    Removes them when asked to, else raises Shadowed. Returns what was removed.
    """
    found = []
    for folder in ("", "/lib"):
        for name in board.names(folder or "/"):
            stem, _, kind = name.partition(".")
            if kind in ("py", "mpy") and stem in _SHADOWS:
                found.append(f"{folder}/{name}")
    if found and not remove:
        raise Shadowed(
            "Files on the board would be loaded in the place of the node's.",
            value=", ".join(found),
            reason="MicroPython takes .py before .mpy and the root before its frozen modules.",
            next_step="add --remove-stale to remove them",
        )
    board.remove(*found)
    return found


class Installer:
    """One installation on one board."""

    def __init__(self, board: Board, package: Package, report: Report | None = None) -> None:
        self._board = board
        self._package = package
        self._report = report or (lambda _progress: None)
        self._sent = [0, 0]
        self._kept = 0
        self._removed: list[str] = []

    def install(self, facts: Facts, *, trial: bool = False) -> Installed:
        """Put the package on the board. *trial*: the next start tries it, all others run what ran before.

        When the slot that runs is this package already, it is only verified.
        """
        begun_s = time.monotonic()
        launcher = facts.launcher
        package = self._package
        running = launcher.otherwise or launcher.slot
        slot = "b" if running == "a" else "a"
        if launcher.otherwise is None and launcher.build == package.build and running in ("a", "b"):
            one_file = self._board.one_file(running)
            if one_file == _digest(package.slot_file):
                return self._nothing_to_do(running, begun_s)
            if one_file is None:  # else it is damaged, and what runs is not overwritten
                slot = running
        other = {"a": "b", "b": "a"}[slot]
        self._fill(facts, slot, other if running == other else ("" if running == "/" else other))
        self._commit(slot, running, trial and running is not None and running != slot)
        return Installed(
            slot=slot,
            build=package.build,
            sent_files=self._sent[0],
            sent_bytes=self._sent[1],
            kept_files=self._kept,
            removed=tuple(self._removed),
            seconds=time.monotonic() - begun_s,
            trial=trial and running is not None and running != slot,
        )

    def _nothing_to_do(self, slot: str, begun_s: float) -> Installed:
        """It came with a release, and is whole."""
        self._board.remove(TRIAL)
        files = len(self._package.content)
        return Installed(slot, self._package.build, 0, 0, files, (), time.monotonic() - begun_s)

    def _fill(self, facts: Facts, slot: str, other: str) -> None:
        board, package = self._board, self._package
        board.remove(f"/{slot}{SUFFIX}", f"/{slot}{SUFFIX}.new")  # a slot is a tree or a file
        there = board.tree(f"/{slot}")
        wanted = {f"/{path}": digest for path, digest in package.hashes.items()}
        wrong = {path: digest for path, digest in wanted.items() if there.get(path) != digest}
        surplus = [path for path in there if path not in wanted and path != f"/{MANIFEST}"]
        manifest_ok = there.get(f"/{MANIFEST}") == _digest(package.manifest)
        self._kept = len(wanted) - len(wrong)
        if wrong or surplus:
            board.remove(f"/{slot}/{MANIFEST}")  # a slot that is not complete says so
            manifest_ok = False
        for path in surplus:
            board.remove(f"/{slot}{path}")
            self._removed.append(f"/{slot}{path}")
        self._refuse_too_large(facts, slot, wrong)
        if wrong:
            self._send(slot, wrong, other)
        if not manifest_ok:
            self._verify(slot, wanted)
            board.put(f"/{slot}/{MANIFEST}", package.manifest)

    def _refuse_too_large(self, facts: Facts, slot: str, wrong: dict[str, str]) -> None:
        """Raise NoRoom; an earlier build in the slot gives its room back, and readings have theirs already."""
        if not wrong:  # what is there already needs no room
            return
        room = self._board.room(f"/{slot}", "/data", facts.block_bytes)

        def blocks(size: int) -> int:
            return -(-size // facts.block_bytes) * facts.block_bytes

        new = {path: blocks(len(self._package.content[path[1:]])) for path in wrong}
        replaced = sum(blocks(room.sizes.get(path, 0)) for path in wrong)
        # Each is written beside the one before; the manifest was removed.
        needed = max(0, sum(new.values()) - replaced) + max(new.values()) + blocks(len(self._package.manifest))
        spare = max(_LEAST_ROOM_BYTES, _ROOM_TO_SPARE_BYTES - room.kept_bytes)
        if needed + spare > room.free_bytes:
            raise NoRoom(
                "The node does not fit beside what is on the board.",
                value=f"{needed} bytes more, {room.free_bytes} free, {spare} must stay free",
                next_step="remove what is not Lykta's, or lykta flash PORT --erase for an empty board",
            )

    def _send(self, slot: str, wrong: dict[str, str], other: str) -> None:
        board, package = self._board, self._package
        elsewhere = {digest: path for path, digest in board.tree(f"/{other}" if other else "/firmware").items()}
        prefix = f"/{other}" if other else "/firmware"
        content = package.content
        total = sum(len(content[path[1:]]) for path in wrong)
        done = 0
        together: dict[str, bytes] = {}
        for path, digest in wrong.items():
            data = content[path[1:]]
            self._report(Progress(done, total, path[1:]))
            if digest in elsewhere:
                board.copy(prefix + elsewhere[digest], f"/{slot}{path}", data)
                self._kept += 1
                done += len(data)
                continue
            if sum(map(len, together.values())) + len(data) > CHUNK_BYTES:
                done += self._put(together)
                together = {}
            together[f"/{slot}{path}"] = data
        self._put(together)
        self._report(Progress(total, total, MANIFEST))

    def _put(self, files: dict[str, bytes]) -> int:
        """Send files that go together; return their size."""
        self._board.put_all(files)
        size = sum(map(len, files.values()))
        self._sent[0] += len(files)
        self._sent[1] += size
        return size

    def _verify(self, slot: str, wanted: dict[str, str]) -> None:
        found = self._board.tree(f"/{slot}")
        bad = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
        if bad:
            raise WrongBoard(
                "The slot does not hold what was sent.",
                value=", ".join(bad[:5]),
                reason="Something else writes on this board at the same time.",
                next_step="press RST and give the same command again",
            )

    def _commit(self, slot: str, running: str | None, trial: bool) -> None:
        board, package = self._board, self._package
        if trial:  # the old node keeps the /boot.py that it came with
            board.put(TRIAL, b"1")
            board.put("/main.py", package.trial_launcher(slot, running or "/"))
            return
        there = _root(board)
        if there.get("/boot.py") != _digest(package.boot):
            board.put("/boot.py", package.boot)
        main = package.launcher(slot)
        if there.get("/main.py") != _digest(main):
            board.put("/main.py", main)
        board.remove(TRIAL)

    def confirm(self, slot: str) -> None:
        """Make the slot that was tried the one that always runs."""
        self._board.put("/boot.py", self._package.boot)
        self._board.put("/main.py", self._package.launcher(slot))
        self._board.remove(TRIAL)


def _root(board: Board) -> dict[str, str]:
    code = "for e in ('/boot.py','/main.py'):\n try:\n  print(_lh(e),e)\n except OSError:\n  pass"
    pairs = (line.split(" ", 1) for line in board.run(code).decode().splitlines())
    return {path: digest for digest, path in pairs}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _board(name: str) -> schema.BoardFile:
    try:
        return schema.load_board(name)
    except BoardsError as error:
        raise WrongBoard(f"This board file is refused: {error}", value=name, next_step="lykta boards") from error
