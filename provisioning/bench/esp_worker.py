# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""esptool as a library, in a process of its own: `python -m provisioning.bench.esp_worker`.

One JSON line comes in and says what to write; JSON lines go out and say how far it is (`esp.py` reads them). What hangs
in here ends with this process. Nothing else of ours imports esptool, which is under the GPL and not shipped with us.

The interface is esptool 5's documented one ("Embedding into Custom Scripts": esptool.cmds, esptool.logger).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Final

PIECE_BYTES: Final = 262_144
"""What is compared and written at once: after a pulled cable the pieces that hold already are not written again."""
_ROM_BAUD: Final = 115_200

_KINDS: Final = (
    # what esptool says, in whatever step; what it means is written in esp.py
    (r"MD5 of file does not match|written flash region is empty", "does_not_hold"),
    (r"Permission denied", "denied"),
    (r"busy|Resource temporarily unavailable|Could not exclusively lock", "busy"),
    (r"Could not open|No such file or directory", "no_port"),
    (r"will not fit", "too_large"),
    (r"[Ss]ecur|[Ee]ncrypt", "protected"),
    (r"is not an? [\w-]+ image|Input does not contain|Unexpected chip", "wrong_chip"),
    (r"device reports readiness|Input/output error|device disconnected|Attempting to use a port|Bad file", "lost"),
)


class Worker:
    """One job: connect, look, erase, write, verify, restart."""

    def __init__(self, request: dict[str, Any], out: io.TextIOBase) -> None:
        self._request, self._out = request, out
        self._step, self._done, self._total = "start", 0, 0

    def say(self, event: str, **facts: object) -> None:
        """A line for the process that waits."""
        self._out.write(json.dumps({"event": event, "step": self._step, **facts}) + "\n")
        self._out.flush()

    def step(self, name: str) -> None:
        """What begins now; each step has its own patience."""
        self._step = name
        self.say("step")

    def progress(self, part: int, whole: int, piece_bytes: int) -> None:
        """So much of a piece, which is sent compressed, is written."""
        self.say("progress", done=self._done + piece_bytes * part // max(1, whole), total=self._total)

    def run(self) -> None:
        """Do it. Raises what esptool raises."""
        from esptool import cmds

        data = Path(self._request["image"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != self._request["sha256"]:
            raise ValueError("the image was changed while it was looked at")
        self.step("connect")
        with cmds.detect_chip(self._request["port"], _ROM_BAUD, connect_attempts=self._request["connects"]) as rom:
            self._check_chip(rom.CHIP_NAME)
            mac = ":".join(f"{byte:02x}" for byte in rom.read_mac("BASE_MAC"))
            self.say("found", chip=rom.get_chip_description(), mac=mac)
            self.step("prepare")
            chip = cmds.run_stub(rom)
            if self._request["baud"] != _ROM_BAUD:
                chip.change_baud(self._request["baud"])
            chip.WRITE_FLASH_ATTEMPTS = 1  # esptool's own second try writes all anew; the one who waits begins again
            cmds.attach_flash(chip)
            self.say("flash", size=cmds.detect_flash_size(chip))
            if self._request["erase"]:
                self.step("erase")
                cmds.erase_flash(chip)
            self._write(cmds, chip, data)
            self.step("restart")
            with contextlib.suppress(OSError):  # a chip with USB of its own takes the port along as it restarts
                cmds.reset_chip(chip, "hard-reset")

    def _check_chip(self, found: str) -> None:
        wanted = self._request["chip"]
        if found.lower().replace("-", "") != wanted:
            raise _WrongChip(f"this chip is {found}, not {wanted}")

    def _write(self, cmds: Any, chip: Any, data: bytes) -> None:
        self._total, offset = len(data), int(self._request["offset"])
        for start in range(0, len(data), PIECE_BYTES):
            self.step("compare")
            piece = data[start : start + PIECE_BYTES]
            # The first piece is always written: esptool puts the size of the flash into its header.
            held = bool(start) and _holds(chip, offset + start, piece)
            if not held:
                self.step("write")
                _Log.piece_bytes = len(piece)
                cmds.write_flash(chip, [(offset + start, piece)], flash_size="detect")
            self._done += len(piece)
            self.say("progress", done=self._done, total=self._total, kept=held)

    def kind_of(self, error: BaseException) -> str:
        """What kind of failure this is."""
        said = str(error)
        if isinstance(error, _WrongChip):
            return "wrong_chip"
        found = next((kind for pattern, kind in _KINDS if re.search(pattern, said)), None)
        if found is not None:
            return found
        if isinstance(error, OSError) and self._step != "start":
            return "lost"
        if self._step == "connect":
            return "silent"
        return "stopped" if re.search(r"No serial data|stopped|No more data|Invalid head", said) else "other"


class _WrongChip(Exception):
    """Another processor than the board's file says."""


def _holds(chip: Any, address: int, piece: bytes) -> bool:
    """Does the flash hold this already? The chip hashes it itself. MD5 is what it has; it is no matter of trust."""
    padded = piece + b"\xff" * (-len(piece) % 4)  # as esptool pads what it writes
    return bool(chip.flash_md5sum(address, len(padded)) == hashlib.md5(padded, usedforsecurity=False).hexdigest())


class _Log:
    """esptool's custom logger (its documented seven methods): progress becomes a line, all else goes to stderr."""

    worker: Worker
    piece_bytes = 0

    def print(self, *args: object, **_: object) -> None:
        """To stderr, which is a log."""
        sys.stderr.write(" ".join(map(str, args)) + "\n")

    note = warning = error = print

    def stage(self, finish: bool = False) -> None:
        """Nothing folds in a log."""

    def progress_bar(self, cur_iter: int, total_iters: int, *_: object, **__: object) -> None:
        """So many of so many compressed bytes."""
        self.worker.progress(cur_iter, total_iters, self.piece_bytes)

    def set_verbosity(self, verbosity: str) -> None:
        """All or nothing is the reader's choice."""


def _end_with_parent() -> None:
    """Nobody reads any more: the board is not worked on unwatched."""
    sys.stdin.read()
    os._exit(1)


def main() -> int:
    """0 done, 1 failed; the last line says which."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints does not get between the lines
    worker = Worker(json.loads(sys.stdin.readline()), out)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        from esptool import logger

        logger.log.set_logger(type("Log", (_Log, logger.TemplateLogger), {"worker": worker})())
        worker.run()
    except Exception as error:  # noqa: BLE001  the top of this process: whatever it is, the one who waits is told
        traceback.print_exc()  # to the log
        said = " ".join(str(error).split())
        worker.say("failed", kind=worker.kind_of(error), said=said or type(error).__name__)
        return 1
    worker.say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
