# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is put on a board: the node's files compiled for it, and the launcher that chooses between two slots.

The board keeps two copies of the node, in the folders /a and /b. /main.py puts one of them into sys.path; replacing
main.py is one rename, so that a board boots into the complete old node or the complete new one, whenever power fails.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from boards.build import ROOT_FILES, build_tree
from boards.errors import BoardsError
from provisioning.errors import BoardError

SLOTS: Final = ("a", "b")
MANIFEST: Final = "manifest"
TRIAL: Final = "/trial"
"""While this file is there, the next start tries the new slot; the start removes it, so that it is tried once."""
_HEAD: Final = re.compile(rb"# Lykta: slot ([ab])(?: on trial, else ([ab/]))?, build ([0-9a-f]{16})\n")


@dataclass(frozen=True)
class Package:
    """The node for one board. `files`: content by path below a slot; `boot`, `main`: the files of the root."""

    board: str
    files: Mapping[str, bytes]
    boot: bytes
    main: bytes

    @property
    def bytes_total(self) -> int:
        """The size of all files of a slot."""
        return sum(map(len, self.files.values()))

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 in hexadecimal by path."""
        return {path: hashlib.sha256(data).hexdigest() for path, data in self.files.items()}

    @property
    def build(self) -> str:
        """16 hexadecimal digits that stand for all of it."""
        whole = hashlib.sha256()
        for path, digest in sorted({**self.hashes, "/boot.py": _sha(self.boot), "/main.py": _sha(self.main)}.items()):
            whole.update(f"{path}\0{digest}\n".encode())
        return whole.hexdigest()[:16]

    @property
    def manifest(self) -> bytes:
        """What lies in the slot when it is complete: a line for the build, then one for each file."""
        lines = [f"lykta {self.build} {self.board}"]
        lines += [f"{digest} {path}" for path, digest in sorted(self.hashes.items())]
        return ("\n".join(lines) + "\n").encode()

    def launcher(self, slot: str) -> bytes:
        """/main.py that runs this slot."""
        head = f'# Lykta: slot {slot}, build {self.build}\nimport sys\n\nsys.path.insert(0, "/{slot}")\n'
        return head.encode() + self.main

    def trial_launcher(self, slot: str, otherwise: str) -> bytes:
        """/main.py that runs this slot at the next start and *otherwise* (a slot, or / for the root) at all others."""
        other = "" if otherwise == "/" else f"/{otherwise}"
        head = f"""# Lykta: slot {slot} on trial, else {otherwise}, build {self.build}
import os
import sys

try:
    os.remove("{TRIAL}")
    sys.path.insert(0, "/{slot}")
except OSError:
    sys.path.insert(0, "{other}")
"""
        return head.encode() + self.main


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


def package_for(board: str) -> Package:
    """Compile the node for a board; once in the life of this process, whoever asks first. Raises BoardError."""
    with _building:
        return _built(board)


_building = threading.Lock()


@lru_cache(maxsize=16)
def _built(board: str) -> Package:
    with tempfile.TemporaryDirectory(prefix="lykta-package-") as folder:
        tree = Path(folder) / "tree"
        try:
            build_tree(tree, board)
        except BoardsError as error:
            raise BoardError(f"The firmware cannot be built: {error}", value=board) from error
        content = {path.relative_to(tree).as_posix(): path.read_bytes() for path in sorted(tree.rglob("*.*"))}
    root = {name: content.pop(name) for name in ROOT_FILES}
    return Package(board, content, root["boot.py"], root["main.py"])


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
