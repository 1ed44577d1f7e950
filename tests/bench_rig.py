# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A virtual board for the technician's bench, driven by hand: cable, power, reset; and small packages to install."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provisioning.bench import line as bench_line
from provisioning.bench.package import Package
from provisioning.bench.rehearsal import VirtualBoard, virtual_boards
from tests.virtual_board_rig import flash


def control(board: VirtualBoard, cmd: str, **arguments: Any) -> dict[str, Any]:
    """Do something to a board by hand; its state afterwards."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(board.control))
        client.sendall(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
        answer = json.loads(client.makefile("rb").readline())
    assert answer["ok"], answer
    state: dict[str, Any] = answer["state"]
    return state


@contextmanager
def one_board(
    folder: Path, main: str = "", boot: str = "", files: Mapping[str, bytes] | None = None
) -> Iterator[VirtualBoard]:
    """A board with these files in its root; blank when there are none."""
    image = flash(folder / "made", main, boot, dict(files or {})) if main or boot or files else None
    place = folder / "boards"
    place.mkdir(parents=True, exist_ok=True)
    if image is not None:
        image.rename(place / "board1.image")
    with virtual_boards(1, folder=place) as (board,):
        yield board


def package(version: int, files: int = 6) -> Package:
    """A package that prints its version when it runs. Some of its files are the same in every version."""
    content = {f"firmware/part{n}.mpy": b"M\x06\x00\x1f" + bytes([n]) * (700 * n + 40) for n in range(files - 2)}
    content["firmware/changed.mpy"] = b"M\x06\x00\x1f" + f"version {version}".encode() * 300
    content["firmware/version.py"] = f"VERSION = {version}\n".encode()
    main = b"import time\nfrom firmware.version import VERSION\nprint('runs', VERSION)\n"
    main += b"while True:\n    time.sleep_ms(50)\n"
    return Package("virtual", content, f"# boot {version}\n".encode(), main)


class Faults:
    """Does something at the n-th write to a line, counted over all lines of this process."""

    def __init__(self, monkeypatch: Any) -> None:
        self.writes = 0
        self._at: dict[int, Callable[[], object]] = {}
        original = bench_line.Line.write

        def write(line: bench_line.Line, data: bytes) -> None:
            self.writes += 1
            what = self._at.pop(self.writes, None)
            if what is not None:
                what()
            original(line, data)

        monkeypatch.setattr(bench_line.Line, "write", write)

    def at(self, write: int, what: Callable[[], object]) -> None:
        """At this write from now (1: the next)."""
        self._at[self.writes + write] = what

    def clear(self) -> None:
        """What did not happen yet will not."""
        self._at.clear()


def until(done: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Wait for what only looking can tell."""
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)
