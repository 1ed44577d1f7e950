# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is put on a board: the node's files compiled for it, and the launcher that chooses between two slots.

The board keeps two copies of the node, in the folders /a and /b; one that came from afar is a file
(`provisioning.bench.slot_file`). /main.py puts one of them into sys.path; replacing
main.py is one rename, so that a board boots into the complete old node or the complete new one, whenever power fails.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from boards.build import ROOT_FILES, build_tree
from boards.errors import BoardsError
from boards.schema import load_board
from provisioning.bench import slot_file
from provisioning.bench.needs import needed
from provisioning.bench.slot_file import MANIFEST as MANIFEST
from provisioning.errors import BoardError

SLOTS: Final = ("a", "b")
ENTRY: Final = "lykta_main.py"
_ENTRY_MODULE: Final = "lykta_main"
TRIAL: Final = "/trial"
"""While this file is there, the next start tries the new slot; the start removes it, so that it is tried once."""
_HEAD: Final = re.compile(rb"# Lykta: slot ([ab])(?: on trial, else ([ab/]))?, build ([0-9a-f]{16})\n")


@dataclass(frozen=True)
class Purpose:
    """What a board is for: its kind and the links that it can use. The files of other kinds and links are left out."""

    kind: str
    links: frozenset[str]


@dataclass(frozen=True)
class Package:
    """The node for one board.

    `files`: content by path below a slot; `boot`: /boot.py; `main`: what runs the node, in the slot beside the rest, so
    that the old copy keeps its own.
    """

    board: str
    files: Mapping[str, bytes]
    boot: bytes
    main: bytes
    made_for: Purpose | None = None
    """What was left out; None: nothing."""

    @cached_property
    def content(self) -> dict[str, bytes]:
        """All files of a slot but the manifest."""
        return {**self.files, ENTRY: self.main}

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 in hexadecimal by path."""
        return {path: _sha(data) for path, data in self.content.items()}

    @cached_property
    def build(self) -> str:
        """16 hexadecimal digits that stand for all of it."""
        whole = hashlib.sha256()
        for path, digest in sorted({**self.hashes, "/boot.py": _sha(self.boot)}.items()):
            whole.update(f"{path}\0{digest}\n".encode())
        return whole.hexdigest()[:16]

    @cached_property
    def manifest(self) -> bytes:
        """What lies in the slot when it is complete: a line for the build, then one for each file."""
        purpose = self.made_for
        suffix = "" if purpose is None else f" {purpose.kind} {','.join(sorted(purpose.links))}"
        lines = [f"lykta {self.build} {self.board}{suffix}"]
        lines += [f"{digest} {path}" for path, digest in sorted(self.hashes.items())]
        return ("\n".join(lines) + "\n").encode()

    @property
    def slot_file(self) -> bytes:
        """A slot as one file: what a board makes of a release."""
        return slot_file.made(self.content, self.manifest)

    def launcher(self, slot: str) -> bytes:
        """/main.py that runs this slot, which is a tree."""
        text = f'# Lykta: slot {slot}, build {self.build}\nimport sys\n\nsys.path.insert(0, "/{slot}")\n'
        return f"{text}import {_ENTRY_MODULE}\n".encode()

    def trial_launcher(self, slot: str, otherwise: str) -> bytes:
        """/main.py that runs this slot at the next start and *otherwise* (a slot, or / for the root) at all others.

        A node in the root is one of `lykta board make`, which is started by two lines.
        """
        other = "" if otherwise == "/" else f"/{otherwise}"
        old = f"import {_ENTRY_MODULE}" if otherwise != "/" else "from firmware.node import start\n\n    start.main()"
        shown = f'show("{otherwise}")' if other else 'sys.path.insert(0, "")'
        text = f"""# Lykta: slot {slot} on trial, else {otherwise}, build {self.build}
import os
import sys

{slot_file.READER if other else ""}try:
    os.remove("{TRIAL}")
    tried = True
except OSError:
    tried = False
if tried:
    sys.path.insert(0, "/{slot}")
    import {_ENTRY_MODULE}
else:
    {shown}
    {old}
"""
        return text.encode()


@dataclass(frozen=True)
class Launcher:
    """What /main.py of a board says. `slot`: a, b, or / for a node in the root; None: no node."""

    slot: str | None
    otherwise: str | None = None
    build: str | None = None


def parse_launcher(main: bytes | None) -> Launcher:
    """Read a board's /main.py."""
    if main is None:
        return Launcher(None)
    head = _HEAD.match(main)
    if head is not None:
        return Launcher(head[1].decode(), head[2].decode() if head[2] else None, head[3].decode())
    return Launcher("/" if b"from firmware.node import start" in main else None)


def package_for(board: str, purpose: Purpose | None = None) -> Package:
    """Compile the node for a board; once in the life of this process, whoever asks first. Raises BoardError.

    With a purpose only the files that it needs are in it: each takes a block of flash, and two copies have to fit.
    """
    with _building:  # also because CPython 3.11 cannot parse in two threads at once
        return _built(board) if purpose is None else _chosen(board, purpose)


def parse_manifest(line: bytes) -> tuple[str, Purpose | None] | None:
    """The board and the purpose that the first line of a manifest names; None for anything else."""
    words = line.decode("ascii", "replace").split()
    if len(words) not in (3, 5) or words[0] != "lykta":
        return None
    return words[2], Purpose(words[3], frozenset(words[4].split(","))) if len(words) == 5 else None


_building = threading.Lock()


@lru_cache(maxsize=16)
def _built(board: str) -> Package:
    with tempfile.TemporaryDirectory(prefix="lykta-package-") as folder:
        tree = Path(folder) / "tree"
        try:
            build_tree(tree, board)
        except BoardsError as error:
            raise BoardError(f"The firmware cannot be built: {error}", value=board) from error
        content = {
            path.relative_to(tree).as_posix(): path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()
        }
    root = {name: content.pop(name) for name in ROOT_FILES}
    return Package(board, content, root["boot.py"], root["main.py"])


@lru_cache(maxsize=64)
def _chosen(board: str, purpose: Purpose) -> Package:
    whole = _built(board)
    wanted = needed(load_board(board), purpose.kind, purpose.links)
    # What is no module is data that a module reads.
    chosen = {path: data for path, data in whole.files.items() if path in wanted or not path.endswith(".mpy")}
    return replace(whole, files=chosen, made_for=purpose)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
