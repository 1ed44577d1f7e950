# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The stand-in for an ESP32's loader on a serial port: a PTY with a thread behind it.

A PTY has no DTR and RTS, so the stand-in cannot see the lines with which esptool resets a chip: whoever closes the port
has reset the board.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from pathlib import Path
from typing import Final, Self

from boards.virtual.esp_rom import EspRom, Pulled

_LOOK_MS: Final = 20
_READ_BYTES: Final = 65_536


class EspPort:
    """A board that waits in its loader behind the symlink *path*, while the block lasts."""

    def __init__(self, path: Path, rom: EspRom, *, back_s: float = 0.5) -> None:
        """*back_s*: how long a pulled cable stays out."""
        self.path, self.rom, self.pulled, self.resets = path, rom, 0, 0
        self._back_s = back_s
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._live()
            except Pulled:
                self.pulled += 1
                self.rom.reset()
                self._stop.wait(self._back_s)

    def _live(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)  # from here on the kernel tells when a client opens and closes it
        self._ready.set()
        try:
            self._serve(master)
        finally:
            os.close(master)
            self.path.unlink()

    def _closed(self) -> None:
        if not self.rom.faults.no_reset:
            self.resets += 1
            self.rom.reset()

    def _serve(self, master: int) -> None:
        poll = select.poll()
        poll.register(master, select.POLLIN)
        open_ = False
        while not self._stop.is_set():
            events = poll.poll(_LOOK_MS)
            if any(each & select.POLLHUP for _, each in events):
                if open_:
                    open_ = False
                    self._closed()
                self._stop.wait(_LOOK_MS / 1000)
                continue
            open_ = True
            if events:
                said = self.rom.feed(os.read(master, _READ_BYTES))
                with contextlib.suppress(OSError):  # whoever asked has gone
                    _write_all(master, said)


def _write_all(master: int, data: bytes) -> None:
    while data:
        data = data[os.write(master, data) :]
