# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board's serial port: a PTY under a stable name that outlives resets, and can be unplugged.

Like a USB serial port: what the board writes while nobody has the port open is gone.
Knows nothing of what the bytes mean.
"""

import asyncio
import os
import pty
import select
import tty
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from boards.errors import PortError

WATCH_S = 0.02  # how soon a client that opens the port is noticed when the board is silent
FULL_BYTES = 16_384  # waiting for a client that does not read
GIVE_UP_S = 0.5  # after this long, what waits for such a client is dropped, as USB CDC ports do


class Console:
    """Outer end of the console. `on_input` gets what clients write."""

    def __init__(self, port: Path, on_input: Callable[[bytes], None], copy: BinaryIO | None = None) -> None:
        """copy: gets all that the board writes, whether anybody listens or not."""
        self.port = port
        self._copy = copy
        self._on_input = on_input
        self._master: int | None = None
        self._slave_name = ""
        self._open = False
        self._waiting = bytearray()
        self._watch: asyncio.TimerHandle | None = None
        self._give_up: asyncio.TimerHandle | None = None
        self.dropped_bytes = 0

    @property
    def plugged(self) -> bool:
        """The port exists."""
        return self._master is not None

    @property
    def full(self) -> bool:
        """The client does not keep up; the board should wait."""
        return len(self._waiting) >= FULL_BYTES

    def plug(self) -> None:
        """Make the PTY and its symlink; PortError if the path is taken by something else."""
        if self._master is not None:
            return
        if self.port.is_symlink() or self.port.exists():
            self._remove_stale()
        master, slave = pty.openpty()
        tty.setraw(slave)
        self._slave_name = os.ttyname(slave)
        os.close(slave)  # from here on the kernel tells when a client opens and closes it
        os.set_blocking(master, False)
        try:
            self.port.symlink_to(self._slave_name)
        except OSError as e:
            os.close(master)
            raise PortError(f"cannot make the serial port {self.port}: {e.strerror}. Choose another --port.") from e
        self._master = master
        self._check_open()

    def unplug(self) -> None:
        """Hang up clients and remove the symlink."""
        if self._master is None:
            return
        self._set_open(False)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        os.close(self._master)
        self._master = None
        if self.port.is_symlink() and str(self.port.readlink()) == self._slave_name:
            self.port.unlink()

    def write(self, data: bytes) -> None:
        """Board to client; dropped if there is none."""
        if self._copy is not None:
            self._copy.write(data)
            self._copy.flush()
        if self._master is None or not (self._open or self._check_open()):
            self.dropped_bytes += len(data)
            return
        self._waiting += data
        self._flush()

    def _remove_stale(self) -> None:
        if not self.port.is_symlink():
            raise PortError(f"the serial port {self.port} exists and is not a link to a PTY. Choose another --port.")
        if self.port.exists() and str(self.port.readlink()).startswith("/dev/pts/") and _has_master(self.port):
            raise PortError(
                f"the serial port {self.port} belongs to a board that is running. Stop it, or choose another --port."
            )
        self.port.unlink()

    def _check_open(self) -> bool:
        """Look whether a client has opened the port; until then look again every WATCH_S."""
        self._watch = None
        if self._master is None:
            return False
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        hung_up = any(events & select.POLLHUP for _, events in poll.poll(0))
        if not hung_up:
            self._set_open(True)
            return True
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(WATCH_S, self._check_open)
        return False

    def _set_open(self, is_open: bool) -> None:
        if is_open == self._open or self._master is None:
            return
        loop = asyncio.get_running_loop()
        self._open = is_open
        if is_open:
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None
            loop.add_reader(self._master, self._read)
            return
        loop.remove_reader(self._master)
        self._drop()

    def _read(self) -> None:
        if self._master is None:
            return
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last client closed the port
            self._set_open(False)
            self._check_open()
            return
        self._on_input(data)

    def _flush(self) -> None:
        if self._master is None:
            return
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                del self._waiting[: os.write(self._master, self._waiting[:1024])]
        except BlockingIOError:
            loop.add_writer(self._master, self._flush)
            if self._give_up is None and self.full:
                self._give_up = loop.call_later(GIVE_UP_S, self._drop)
        except OSError:
            self._set_open(False)
            self._check_open()
        if not self.full and self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None
        if not self._waiting:
            loop.remove_writer(self._master)

    def _drop(self) -> None:
        self.dropped_bytes += len(self._waiting)
        self._waiting.clear()
        if self._master is not None:
            asyncio.get_running_loop().remove_writer(self._master)
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None


def _has_master(port: Path) -> bool:
    # A slave that can be opened has a living master; a number reused by another program counts as living too.
    try:
        os.close(os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
