# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MicroPython onto an ESP32 by esptool's library, which works in a process of its own (`esp_worker.py`).

This side starts it, reads its JSON lines, is patient as long as something happens, and begins again after a pulled
cable; what the flash holds by then is not written again.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from boards.bench import BenchTable
from provisioning.bench import install, logs
from provisioning.bench.errors import BenchError, FlashFailed
from provisioning.bench.images import Image
from provisioning.bench.line import Line

COMMAND: Sequence[str] = (sys.executable, "-m", "provisioning.bench.esp_worker")
BAUD: Final = 460_800
ATTEMPTS: Final = 4
CONNECTS: Final = 7
"""How often esptool tries to reach the loader, each time with a reset."""
WAIT_S: Final = 30.0
"""How long a port that went away is waited for."""
PATIENCE_S: Final = {"start": 60, "connect": 60, "prepare": 30, "erase": 240, "compare": 60, "write": 90, "restart": 30}
"""How long nothing may happen in each step; esptool's own limits for one answer are shorter."""
_END_S: Final = 10
_MAX_LINE_BYTES: Final = 65_536
_OLDEST: Final = 5

_MEANING: Final = {
    # kind: what it means, why, what to do
    "silent": (
        "The board's ROM loader does not answer.",
        "It starts its program, or nothing of it hears.",
        "hold BOOT, press RST, let go, and try again; another cable or a driver for the adapter helps too",
    ),
    "wrong_chip": (
        "The processor is another one than the board's file says.",
        "Its image would not start there; nothing was written.",
        "choose the right --board",
    ),
    "does_not_hold": (
        "The flash does not hold what was written.",
        "The chip's own hash of it is another one.",
        "write again with --erase; if it stays, its write-protection bits are set or the chip is worn out",
    ),
    "too_large": (
        "The image does not fit into the flash of this board.",
        "The chip says how large its flash is.",
        "bring the build for a flash of this size, or choose the right --board",
    ),
    "protected": (
        "The processor is locked against this.",
        "Flash encryption or secure boot is on, and what is written so would not start.",
        "take another board: its fuses cannot be undone",
    ),
    "denied": ("The port may not be opened.", "", "lykta doctor PORT says why"),
    "busy": ("Another program has this port open.", "", "lykta doctor PORT says which"),
    "no_port": ("The port went away.", "", "plug the board in again, and look with: lykta ports"),
    "lost": (
        "The cable was pulled, or the board lost its power, while it was written to.",
        "What is written stays; the board does not start before it is whole.",
        "plug it in and give the same command: what holds is not written again",
    ),
    "stopped": (
        "The board stopped answering while it was worked on.",
        "A loose cable, a weak supply or a slow hub does that.",
        "try another cable without a hub; the same command goes on where it stopped",
    ),
}
_TOLD: Final = {"erase": "erasing the flash", "restart": "verified; the board restarts"}
_AGAIN: Final = frozenset({"lost", "stopped", "no_port"})


def library() -> bool:
    """Is an esptool here whose library this speaks? The 4th, which Debian has, is called as a program instead."""
    if importlib.util.find_spec("esptool") is None:
        return False
    try:
        return int(importlib.metadata.version("esptool").split(".")[0]) >= _OLDEST
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False


@dataclass(frozen=True)
class Job:
    """An image for the board of a port. *tell* takes a line for a person, *report* how many bytes are written."""

    port: str
    bench: BenchTable
    image: Image
    erase: bool
    tell: Callable[[str], None]
    report: install.Report


def flash(job: Job) -> None:
    """Write the image, verify it and restart the board. Raises FlashFailed, NoSuchPort, PortBusy, PortDenied.

    A pulled cable or a board that stops in the middle is waited for, and gone on with.
    """
    work = _Work(job)
    for attempt in range(1, ATTEMPTS + 1):
        _await_port(job.port, WAIT_S if attempt > 1 else 8.0)
        try:
            work.run()
        except _Stopped as error:
            began = attempt > 1
            if error.kind == "silent" and began:
                raise _failure("stopped", error.said) from error
            if error.kind not in _AGAIN or attempt == ATTEMPTS:
                raise _failure(error.kind, error.said, error.log) from error
            job.tell(f"{_failure(error.kind, '').state} Going on when it is there, attempt {attempt + 1} of {ATTEMPTS}")
        else:
            return


class _Stopped(Exception):
    """The worker says that it failed."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind, self.said = kind, said
        self.log: Path | None = None


class _Work:
    """A job, and how far it is."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._request = {
            "port": job.port,
            "chip": job.bench.chip,
            "offset": job.bench.offset,
            "image": str(job.image.path),
            "sha256": job.image.sha256,
            "baud": BAUD,
            "erase": job.erase,
            "connects": CONNECTS,
        }
        self._step, self._kept_bytes, self._done_bytes = "start", 0, 0

    def run(self) -> None:
        """Start a worker and follow it to its end; keep what esptool printed when nobody knows why it failed.

        Raises _Stopped, FlashFailed.
        """
        self._step, self._done_bytes, self._kept_bytes = "start", 0, 0
        with tempfile.TemporaryFile() as printed:
            try:
                self._follow(printed)
            except _Stopped as error:
                if error.kind not in _MEANING:
                    printed.seek(0)
                    error.log = logs.keep("esptool", printed.read())
                raise

    def _follow(self, printed: IO[bytes]) -> None:
        with _started(self._request, printed) as (process, said_by_it):
            for line in self._lines(said_by_it.fileno()):
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if self._heard(said):
                    process.wait(_END_S)
                    return
        raise _Stopped("other", f"it ended in the step {self._step!r} without a word")

    def _lines(self, pipe: int) -> Iterator[bytes]:
        held = bytearray()
        while True:
            patience_s = PATIENCE_S.get(self._step, 60)
            if not select.select([pipe], [], [], patience_s)[0]:
                raise FlashFailed(
                    f"esptool did nothing for {patience_s} s, and was ended.",
                    value=f"in the step {self._step!r}",
                    reason="A loader or an adapter that hangs takes nothing else with it.",
                    next_step="unplug the board, plug it in, give the same command: what holds is not written again",
                )
            data = os.read(pipe, _MAX_LINE_BYTES)
            if not data or len(held) > _MAX_LINE_BYTES:
                return
            *whole, rest = bytes(held + data).split(b"\n")
            held = bytearray(rest)
            yield from whole

    def _heard(self, said: dict[str, Any]) -> bool:
        """True when that was all."""
        event, self._step = said.get("event"), said.get("step", self._step)
        if event == "found":
            self._job.tell(f"found {said['chip']}, MAC {said['mac']}")
        elif event == "step" and self._step == "compare":
            self._request["erase"] = False  # not once more after an interruption: what was written since would be lost
        elif event == "step" and self._step in _TOLD:
            self._job.tell(_TOLD[self._step])
        elif event == "progress":
            self._kept_bytes += said["done"] - self._done_bytes if said.get("kept") else 0
            self._done_bytes = said["done"]
            self._job.report(install.Progress(said["done"], said["total"], self._job.image.path.name))
        elif event == "failed":
            raise _Stopped(said["kind"], said["said"])
        elif event == "done":
            if self._kept_bytes:
                self._job.tell(f"{self._kept_bytes} bytes were in the flash already")
            return True
        return False


@contextlib.contextmanager
def _started(request: Mapping[str, object], printed: IO[bytes]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """The worker, which ends with the block however that ends. What esptool prints goes to a file."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise FlashFailed("The process of esptool has no pipes.")
            _ask(process.stdin, request)
            yield process, process.stdout
        finally:
            process.kill()  # by then it has ended by itself, or must not go on


def _ask(pipe: IO[bytes], request: Mapping[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended at once, which its silence tells
        pipe.write(json.dumps(request).encode() + b"\n")
        pipe.flush()  # and left open: its end is the sign that nobody waits


def _await_port(port: str, wait_s: float) -> None:
    """Raises NoSuchPort, PortBusy, PortDenied, each with its own advice."""
    line = Line(port)
    try:
        line.open(wait_s)
    finally:
        line.close()


def _failure(kind: str, said: str, log: Path | None = None) -> BenchError:
    if kind not in _MEANING:
        where = "" if log is None else f"All that esptool printed is in {log}"
        return FlashFailed("esptool failed.", value=said, reason=where, next_step="lykta doctor PORT")
    state, reason, next_step = _MEANING[kind]
    return FlashFailed(state, value=said, reason=reason, next_step=next_step)
