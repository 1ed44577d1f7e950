# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board at its raw prompt: its facts, and the operations on its files that everything else is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provisioning.bench import onboard, transfer
from provisioning.bench.errors import BoardRaised, DamagedTransfer, NoRoom
from provisioning.bench.package import Launcher, Purpose, parse_launcher, parse_manifest
from provisioning.bench.repl import EXEC_TIMEOUT_S, RawRepl
from provisioning.bench.slot_file import SUFFIX

CHUNK_BYTES: Final = 2048
PART: Final = "/~lykta.part"
"""Where a file is written until it is whole. littlefs moves a file to another folder in two steps, and a power cut
between them can take the next name of the old folder with it (`tests/upy/bench_cuts.py`): this name is the last."""
_NO_SPACE: Final = "28"


@dataclass(frozen=True)
class Facts:
    """What a board says of itself."""

    version: tuple[int, int, int]
    machine: str
    mpy: int
    """Major version of .mpy that it loads; 0: none."""
    platform: str
    heap_bytes: int
    uid: str
    free_bytes: int
    size_bytes: int
    """Of its file system; 0: there is none."""
    block_bytes: int
    """What the smallest file takes."""
    launcher: Launcher
    board: str | None = None
    """Which board it was installed as, where it says so."""
    purpose: Purpose | None = None
    """And what for."""

    @property
    def version_text(self) -> str:
        """As MicroPython writes it."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True)
class Room:
    """What is free on a board's file system, and what could be. `sizes`: bytes by path of a folder's files."""

    free_bytes: int
    kept_bytes: int
    """What the files of another folder take, in whole blocks."""
    sizes: dict[str, int]


class Board:
    """Files of a board, by its prompt. Each operation is whole or not at all, and may be repeated."""

    def __init__(self, repl: RawRepl) -> None:
        self._repl = repl
        self._helped = False
        self._way = transfer.PLAIN
        self._folders: set[str] = set()
        """Those that this object has made or found on the board."""

    def facts(self) -> Facts:
        """Ask the board what it is."""
        found = self._repl.ask(onboard.FACTS)
        major, minor, patch = (*found["version"], 0, 0, 0)[:3]
        head = found.get("head")
        launcher = parse_launcher(None if head is None else head.encode())
        named = self._named(launcher)
        return Facts(
            version=(major, minor, patch),
            machine=found["machine"],
            mpy=found["mpy"] & 0xFF,
            platform=found["platform"],
            heap_bytes=found["heap"],
            uid=found.get("uid", ""),
            free_bytes=found["free"],
            size_bytes=found["size"],
            block_bytes=found["block"],
            launcher=launcher,
            board=None if named is None else named[0],
            purpose=None if named is None else named[1],
        )

    def _named(self, launcher: Launcher) -> tuple[str, Purpose | None] | None:
        slot = launcher.otherwise or launcher.slot
        if slot not in ("a", "b"):
            return None
        return parse_manifest(self._repl.run(onboard.FIRST_LINE.format(slot=slot)))

    def keep_fed(self, watchdog_ms: int) -> None:
        """Keep a watchdog that a foreign program has started from ending the work; its time-out must be known."""
        self._repl.run(onboard.FEED.format(timeout_ms=watchdog_ms, period_ms=max(1, watchdog_ms // 4)))

    def tree(self, folder: str) -> dict[str, str]:
        """SHA-256 by path (with a slash in front) of all files below a folder; none when there is no folder."""
        printed = self._run(f"_lt({folder!r},'')").decode()
        pairs = (line.split(" ", 1) for line in printed.splitlines())
        return {path: digest for digest, path in pairs}

    def one_file(self, slot: str) -> str | None:
        """SHA-256 of a slot that is one file, as a release from afar leaves it; None: it is none."""
        return self._run(f"try:\n print(_lh('/{slot}{SUFFIX}'))\nexcept OSError:\n pass").decode().strip() or None

    def room(self, folder: str, kept: str, block_bytes: int) -> Room:
        """What is free now, the sizes of the files below `folder`, and what those below `kept` take."""
        printed = self._run(f"{onboard.SIZES}\n_ls({folder!r},'')\n_ls({kept!r},'')\n{onboard.FREE}").decode()
        *rows, free = printed.splitlines()
        listed = [(path, int(size)) for size, path in (row.split(" ", 1) for row in rows)]
        below = {path.removeprefix(folder): size for path, size in listed if path.startswith(folder + "/")}
        taken = sum(-(-size // block_bytes) * block_bytes for path, size in listed if path.startswith(kept + "/"))
        return Room(int(free), taken, below)

    def names(self, folder: str) -> list[str]:
        """The names in one folder; those of folders end with a slash."""
        code = f"print(json.dumps([e[0]+('/' if e[1]&0x4000 else '') for e in _ll({folder!r})]))"
        self._help()
        found: list[str] = self._repl.ask(code)
        return found

    def put(self, path: str, data: bytes) -> None:
        """Replace a file: to the side, read back, renamed. Raises DamagedTransfer, NoRoom."""
        self.put_all({path: data})

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Replace files one after the other, each as `put` does; small ones go in one piece of code."""
        together: list[tuple[str, bytes]] = []
        for path, data in files.items():
            if sum(len(each) for _, each in together) + len(data) > CHUNK_BYTES:
                self._place(together)
                together = []
            together.append((path, data))
        self._place(together)

    def _place(self, files: list[tuple[str, bytes]]) -> None:
        """Write each to the side, and give it its name when its SHA-256, as the flash gives it back, is right."""
        self._help()
        steps = []
        for path, data in files:
            steps.append(self._folder(path))
            *before, last = _pieces(data, self._way)
            for each in before:  # of a file that is large, and therefore alone
                self._run(each)
            steps += [last, _named(path, hashlib.sha256(data).hexdigest()).encode()]
        if files:
            self._compare(self._run(b"\n".join(steps)), files)
            self._folders |= {_parent(path) for path, _ in files}

    def _folder(self, path: str) -> bytes:
        """The code that makes the folder of a file, where it is not known to be there."""
        return b"" if _parent(path) in self._folders else f"_lm({path!r})".encode()

    def copy(self, source: str, path: str, data: bytes) -> None:
        """Copy a file on the board; what it holds must be `data`."""
        code = f"_lm({path!r})\n_lc({source!r},{PART!r})\n{_named(path, hashlib.sha256(data).hexdigest())}"
        self._compare(self._run(code), [(path, data)])

    def remove(self, *paths: str) -> None:
        """Remove files; those that are not there are fine."""
        for path in paths:
            self._run(f"try:\n os.remove({path!r})\nexcept OSError:\n pass")

    def remove_tree(self, folder: str) -> None:
        """Remove a folder with all that is in it."""
        self._folders.clear()
        self._run(f"_lx({folder!r})")

    def fingerprint(self, path: str, key: bytes) -> str:
        """HMAC-SHA-256 of a file under a 64-byte key, computed on the board: the content never leaves it."""
        self._repl.run(onboard.FINGERPRINT)
        return self._repl.run(f"print(_lf({path!r},{key.hex()!r}))").strip().decode()

    def run(self, code: str) -> bytes:
        """Run a piece of code with the helpers at hand."""
        return self._run(code)

    def _run(self, code: str | bytes, timeout_s: float = EXEC_TIMEOUT_S) -> bytes:
        self._help()
        try:
            return self._repl.run(code, timeout_s)
        except BoardRaised as error:
            last = error.trace.splitlines()[-1]
            if last in (f"OSError: {_NO_SPACE}", "OSError: [Errno 28] ENOSPC"):
                raise NoRoom(
                    "The board's file system is full.",
                    value="ENOSPC",
                    reason="Two copies of the node and the readings have to fit.",
                    next_step="remove what is not Lykta's, or lykta flash PORT --erase for an empty board",
                ) from error
            raise

    def _help(self) -> None:
        if not self._helped:
            self._repl.run(onboard.HELPERS)
            try:
                self._way = transfer.understood(self._repl.run(transfer.question()))
            except BoardRaised:  # a lexer that does not take it
                self._way = transfer.PLAIN
            self._helped = True

    @staticmethod
    def _compare(printed: bytes, files: Sequence[tuple[str, bytes]]) -> None:
        answers = printed.decode("ascii", "replace").split()
        for number, (path, data) in enumerate(files):
            expected = hashlib.sha256(data).hexdigest()
            found = answers[number] if number < len(answers) else "nothing"
            if found != expected:
                raise DamagedTransfer(
                    "The board's flash does not give back what was sent.",
                    value=f"{path}: SHA-256 {found[:12]}..., not {expected[:12]}...",
                    reason="Bytes were lost on the line, or a block of the flash is worn out.",
                    next_step="give the same command again; if it stays, replace cable and then board",
                )


def _pieces(data: bytes, way: transfer.Way) -> list[bytes]:
    """The code that writes this to the side, in pieces that a small heap has room for."""
    parts = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)] or [b""]
    place = repr(PART).encode()
    return [
        b"_lw(%s,%s,%s)" % (place, way.expression(part), b"'ab'" if number else b"'wb'")
        for number, part in enumerate(parts)
    ]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _named(path: str, digest: str) -> str:
    """The code that gives what lies at the side its name, when it is whole; it prints what it is."""
    return f"print(_lp({PART!r},{path!r},{digest!r}))"
