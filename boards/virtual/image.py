# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Flash images of powered-off boards: make one, look into one. The file system is MicroPython's own littlefs."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from boards.errors import ImageError
from boards.schema import BoardFile, load_board
from boards.virtual.flash import close_locked, open_locked
from boards.virtual.interpreter import command

_TOOL = Path(__file__).parent / "hal" / "image_tool.py"
TOOL_TIMEOUT_S = 60


def make_image(
    image: Path,
    tree: Path,
    data_files: Mapping[str, bytes] | None = None,
    board: BoardFile | str = "virtual",
) -> None:
    """Write a new image (replacing an old one): the files of `tree`, then `data_files` (path on the board -> content).

    ImageError if a path is no path on the board or the files do not fit; ImageBusyError if a board runs from it.
    """
    board = board if isinstance(board, BoardFile) else load_board(board)
    if not tree.is_dir():
        raise ImageError(f"{tree} is no folder; it must hold what goes to the board's root, such as main.py")
    image.parent.mkdir(parents=True, exist_ok=True)
    image.touch()
    fd = open_locked(image)
    try:
        with tempfile.TemporaryDirectory(prefix="lykta-image-") as scratch:
            extra = Path(scratch) / "extra"
            _lay_out(extra, data_files or {})
            new = Path(scratch) / "image"
            with new.open("wb") as f:
                f.write(b"\xff" * board.flash.bytes)
            _run_tool("make", new, board, str(tree.resolve()), str(extra))
            os.ftruncate(fd, 0)
            os.pwrite(fd, new.read_bytes(), 0)
            os.fsync(fd)
    finally:
        close_locked(fd)


def read_file(image: Path, path: str, board: BoardFile | str = "virtual") -> bytes:
    """Content of one file of a powered-off image; FileNotFoundError, ImageError, ImageBusyError."""
    if path.strip("/") not in (known.strip("/") for known in list_files(image, board)):
        raise FileNotFoundError(f"{image}: no file {path} on this flash")
    return _locked_tool("read", image, board, path)


def list_files(image: Path, board: BoardFile | str = "virtual") -> dict[str, int]:
    """Paths and sizes of all files of a powered-off image; ImageError, ImageBusyError."""
    lines = _locked_tool("list", image, board).decode().splitlines()
    return {path: int(size) for size, _, path in (line.partition(" ") for line in lines)}


def _lay_out(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        target = folder / name.lstrip("/")
        if ".." in target.parts:
            raise ImageError(f"{name!r} is no path on the board: it must not contain '..'")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _locked_tool(verb: str, image: Path, board: BoardFile | str, *rest: str) -> bytes:
    fd = open_locked(image)
    try:
        return _run_tool(verb, image, board if isinstance(board, BoardFile) else load_board(board), *rest)
    finally:
        close_locked(fd)


def _run_tool(verb: str, image: Path, board: BoardFile, *rest: str) -> bytes:
    flash = board.flash
    sizes = (str(flash.bytes // flash.block_bytes), str(flash.block_bytes), str(flash.program_bytes))
    done = subprocess.run(
        command("-X", "heapsize=8m", str(_TOOL), verb, str(image.resolve()), *sizes, *rest),
        capture_output=True,
        timeout=TOOL_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
        env={},
    )
    if done.returncode or done.stderr:
        last = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-1:]
        why = {"OSError: 28": "the files do not fit", "OSError: [Errno 28] ENOSPC": "the files do not fit"}
        reason = why.get(last[0], last[0]) if last else f"exit code {done.returncode}"
        raise ImageError(f"{verb} of the flash image {image} ({flash.bytes} bytes of littlefs) failed: {reason}")
    return done.stdout
