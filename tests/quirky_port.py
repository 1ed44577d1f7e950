# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A serial port with the habits of real boards that people complain about: a PTY with a small script behind it."""

import fcntl
import os
import pty
import select
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self


class QuirkyPort:
    """`answer` gets what was written since, and returns what the board says; `late_s`: when the port appears."""

    def __init__(
        self,
        path: Path,
        answer: Callable[[bytes], bytes],
        *,
        late_s: float = 0,
        comes: threading.Event | None = None,
        opens: int = 1,
        deaf_openings: int = 0,
    ) -> None:
        """*opens*: how often it must be opened; before the last time it vanishes at once and enumerates anew.

        *comes*: the port appears after this. *deaf_openings*: for so many openings it neither hears nor says a thing.
        """
        self.path = path
        self._answer = answer
        self._late_s = late_s
        self._comes = comes
        self._deaf_openings = deaf_openings
        self._openings = 0
        self._opens = opens
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.vanished = 0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._late_s and self._comes is None:
            while not self.path.is_symlink():
                time.sleep(0.005)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        if self._stop.wait(self._late_s):
            return
        while self._comes is not None and not self._comes.wait(0.02):
            if self._stop.is_set():
                return
        for left in range(self._opens, 0, -1):
            self._live(vanishes=left > 1)
            if left > 1:
                self.vanished += 1
                self._stop.wait(0.2)

    def _live(self, vanishes: bool) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        fcntl.ioctl(master, termios.TIOCPKT, b"\1\0\0\0")  # each read begins with what the other end did
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)
        try:
            poll = select.poll()
            poll.register(master, select.POLLIN)
            while not self._stop.is_set():
                events = poll.poll(20)
                hung_up = any(each & select.POLLHUP for _, each in events)
                if hung_up:
                    self._stop.wait(0.01)
                    continue
                if vanishes:
                    return
                data = self._heard(os.read(master, 4096)) if events else b""
                said = self._answer(data) if not self._deaf_openings or self._openings > self._deaf_openings else b""
                if said:
                    os.write(master, said)
        finally:
            os.close(master)
            self.path.unlink()

    def _heard(self, packet: bytes) -> bytes:
        """What was written. A port is flushed when pyserial opens it: that tells an opening, however quick it is."""
        if packet[0] & termios.TIOCPKT_FLUSHREAD:
            self._openings += 1
        return packet[1:] if packet[0] == termios.TIOCPKT_DATA else b""
