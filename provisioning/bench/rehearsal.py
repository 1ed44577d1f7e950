# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Virtual boards for a rehearsal: blank ones on PTYs, each a process of its own, gone when the rehearsal ends."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boards.errors import BoardsError
from boards.schema import load_board
from provisioning.bench.errors import WrongBoard
from provisioning.errors import BoardError

MAX_BOARDS: Final = 64
_READY_S: Final = 30
_END_S: Final = 10


@dataclass(frozen=True)
class VirtualBoard:
    """A running virtual board."""

    port: str
    control: Path
    image: Path


@contextmanager
def virtual_boards(
    count: int, board: str = "virtual", folder: Path | None = None, seed: int = 0, options: Sequence[str] = ()
) -> Iterator[list[VirtualBoard]]:
    """So many blank boards: MicroPython runs, the flash is erased. Images that are in *folder* already are kept.

    *options*: what else `python -m boards.virtual run` is told. Raises BoardError when one does not start.
    """
    if not 1 <= count <= MAX_BOARDS:
        raise WrongBoard(f"A rehearsal has 1 to {MAX_BOARDS} boards.", value=count)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lykta-rehearsal-")))
        folder.mkdir(parents=True, exist_ok=True)
        images = [folder / f"board{number}.image" for number in range(1, count + 1)]
        for image in images:
            _make_blank(image, board)
        found = []
        for number, image in enumerate(images):
            made = VirtualBoard(str(image.with_suffix(".port")), image.with_suffix(".control"), image)
            stack.enter_context(_running(made, board, seed + number, options))
            found.append(made)
        yield found


def _make_blank(image: Path, board: str) -> None:
    """A flash as it leaves the factory: erased, without a file system. MicroPython makes one at its first start."""
    if image.exists():
        return
    try:
        size_bytes = load_board(board).flash.bytes
    except BoardsError as error:
        raise BoardError(f"A virtual board cannot be made: {error}", value=board) from error
    image.touch(0o600)
    image.write_bytes(b"\xff" * size_bytes)


@contextmanager
def _running(made: VirtualBoard, board: str, seed: int, options: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "boards.virtual", "run", str(made.image), "--port", made.port]
    command += ["--control", str(made.control), "--board", board, "--seed", str(seed), *options]
    log = made.image.with_suffix(".log")
    with log.open("ab") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        try:
            if process.stdout is None or b"board ready" not in process.stdout.readline():
                raise BoardError("A virtual board did not start.", value=log.read_text("utf-8", "replace")[-300:])
            yield
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
