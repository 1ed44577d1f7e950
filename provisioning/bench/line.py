# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A serial line to a board, opened alone and with patience: ports appear late, vanish on the first open, are busy."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

import serial

from provisioning.bench.errors import BenchError, CableLost, NoSuchPort, PortBusy, PortDenied

BAUD: Final = 115_200
OPEN_TIMEOUT_S: Final = 8.0
_STEP_S: Final = 0.05
_SETTLE_S: Final = 0.15
_WRITE_TIMEOUT_S: Final = 10.0
_MAX_READ_BYTES: Final = 4096


class Line:
    """An open port. Not thread-safe; a board has one line at a time."""

    tap: ClassVar[Callable[[str, bytes], None] | None] = None
    """Gets (port, bytes) of all that boards say, for a log. Never what is sent: keys are among it."""

    def __init__(self, port: str, baud: int = BAUD) -> None:
        self.port = port
        self._baud = baud
        self._serial: serial.Serial | None = None
        self._held = bytearray()
        self.late_s = 0.0
        """How long the port was not there when it was to be opened; 0: it was there."""
        self.lost_openings: list[str] = []
        """What became of the openings before the one that held."""

    def open(self, timeout_s: float = OPEN_TIMEOUT_S) -> None:
        """Open the port, alone. Waits for one that is late, and opens again one that vanishes on the first open.

        Raises NoSuchPort, PortBusy, PortDenied.
        """
        begun_s = time.monotonic()
        deadline = begun_s + timeout_s
        self.late_s, self.lost_openings = 0.0, []
        awaited = not self._is_there()
        while True:
            there = self._is_there()
            if there and awaited:
                self.late_s, awaited = time.monotonic() - begun_s, False
            try:
                self._serial = _opened(self.port, self._baud)
                self._settled()
            except (NoSuchPort, CableLost) as error:  # not there yet, or enumerating anew
                self.close()
                if there:
                    self.lost_openings.append(error.state)
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_STEP_S)
            else:
                return

    def close(self) -> None:
        """Give the port back; nothing happens when it is closed."""
        if self._serial is not None:
            with contextlib.suppress(OSError, serial.SerialException):
                self._serial.close()
            self._serial = None
        self._held.clear()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Send. Raises CableLost."""
        port, rest = self._port(), memoryview(data)
        deadline = time.monotonic() + _WRITE_TIMEOUT_S
        try:  # by the descriptor, as below: a board's job is a thousand small pieces, and pyserial waits around each
            while rest:
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(port.fileno(), rest) :]
                if not rest:
                    return
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise CableLost(
                        "The board takes no more bytes.",
                        value=self.port,
                        reason="Its USB controller hangs, or nobody reads at its end.",
                        next_step="press its reset button, or unplug it and plug it in again; the job resumes",
                    )
                select.select([], [port.fileno()], [], left_s)
        except (OSError, serial.SerialException, TypeError, ValueError) as error:  # the last two: closed meanwhile
            raise _lost(self.port) from error

    def read(self, timeout_s: float) -> bytes:
        """What has arrived; none after `timeout_s`. Raises CableLost."""
        if self._held:
            data = bytes(self._held)
            self._held.clear()
            return data
        port = self._port()
        try:  # pyserial sets the port up anew with each other time-out: its own stays 0, and the waiting is done here
            ready, _, _ = select.select([port.fileno()], [], [], max(0.0, timeout_s))
            if not ready:
                if not self._is_there():
                    raise _lost(self.port)
                return b""
            data = os.read(port.fileno(), _MAX_READ_BYTES)
            if not data:  # ready, and nothing: the device is gone
                raise _lost(self.port)
        except BlockingIOError:
            return b""
        except (OSError, serial.SerialException, TypeError, ValueError) as error:  # the last two: closed meanwhile
            raise _lost(self.port) from error
        if Line.tap is not None:
            Line.tap(self.port, data)
        return data

    def read_until(
        self, ending: bytes, timeout_s: float, alarm: bytes = b"", *, silence: bool = False
    ) -> tuple[bytes, bool]:
        """Everything up to `ending`, and whether it came; what follows it is kept for the next read.

        `alarm`: when this comes, `ending` will not. `silence`: the time-out is that of a pause, not of all.
        """
        deadline = time.monotonic() + timeout_s
        seen = bytearray()
        while True:
            at = seen.find(ending)
            if at >= 0:
                end = at + len(ending)
                self._held[:0] = seen[end:]
                return bytes(seen[:end]), True
            left_s = deadline - time.monotonic()
            if left_s <= 0 or (alarm and alarm in seen):
                return bytes(seen), False
            data = self.read(min(left_s, 0.5))
            seen += data
            if data and silence:
                deadline = time.monotonic() + timeout_s

    def read_exactly(self, count: int, timeout_s: float) -> bytes:
        """So many bytes, or fewer when the time is over."""
        deadline = time.monotonic() + timeout_s
        seen = bytearray()
        while len(seen) < count and (left_s := deadline - time.monotonic()) > 0:
            seen += self.read(left_s)
        self._held[:0] = seen[count:]
        return bytes(seen[:count])

    def drain(self, quiet_s: float = 0.1, limit_s: float = 3.0) -> bytes:
        """Read until nothing came for `quiet_s`, `limit_s` at most."""
        deadline = time.monotonic() + limit_s
        seen = bytearray()
        while time.monotonic() < deadline:
            data = self.read(quiet_s)
            if not data:
                break
            seen += data
        return bytes(seen)

    def set_lines(self, dtr: bool, rts: bool) -> None:
        """Drive DTR and RTS; a port that has none (a PTY) is left alone."""
        with contextlib.suppress(OSError):
            self._port().dtr = dtr
            self._port().rts = rts

    def _settled(self) -> None:
        """Some boards enumerate on a path that vanishes when it is opened: it counts when it is still there."""
        data = self.read(_SETTLE_S)
        self._held += data

    def _is_there(self) -> bool:
        return os.path.exists(self.port)  # noqa: PTH110  a port is a name, not a path of ours

    def _port(self) -> serial.Serial:
        if self._serial is None:
            raise CableLost("The port is not open.", value=self.port, next_step="plug the board in and try again")
        return self._serial


def holders(port: str) -> list[str]:
    """The programs that have a port open, as 'name (pid)'; of other users' processes only root learns it."""
    real = os.path.realpath(port)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid() and any(
                os.readlink(link) == real  # noqa: PTH115  Path.readlink() is slower, and there are many
                for link in (folder / "fd").iterdir()
            ):
                found.append(f"{(folder / 'comm').read_text().strip()} ({folder.name})")
        except OSError:
            continue
    return found


def _opened(port: str, baud: int) -> serial.Serial:
    if not os.path.exists(port):  # noqa: PTH110
        raise NoSuchPort(
            "There is no such port.",
            value=port,
            reason="The cable is out, carries power only, or the board has not enumerated.",
            next_step="plug it in, try another cable; lykta ports lists what is there",
        )
    try:
        return serial.Serial(port, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True)
    except (OSError, serial.SerialException) as error:
        raise _refusal(port, getattr(error, "errno", None), str(error)) from error


def _refusal(port: str, number: int | None, text: str) -> BenchError:
    if number in (errno.EACCES, errno.EPERM):
        return denied(port)
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "exclusively lock" in text:
        return busy(port)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO):
        return NoSuchPort("The port went away as it was opened.", value=port, next_step="plug the board in again")
    return NoSuchPort(
        f"The port cannot be opened: {text}", value=port, next_step="lykta ports lists the ports there are"
    )


def busy(port: str) -> PortBusy:
    """The error of a port that somebody else has."""
    who = holders(port)
    return PortBusy(
        f"Another program has this port open: {', '.join(who)}." if who else "Another program has this port open.",
        value=port,
        reason="Two programs on one line each get half of what the board says.",
        next_step="end it (a terminal, an IDE, the gateway: systemctl stop lykta-gateway), then the same again",
    )


def denied(port: str) -> PortDenied:
    """The error of a port that this user may not open."""
    return PortDenied(
        "You may not open this port.",
        value=port,
        reason="Serial ports belong to the group dialout (Debian, Ubuntu) or uucp (Arch).",
        next_step="sudo usermod -aG dialout $USER, then log out and in again",
    )


def _lost(port: str) -> CableLost:
    return CableLost(
        "The port went away.",
        value=port,
        reason="The cable was pulled, or the board was reset and enumerates anew.",
        next_step="plug it in and give the same command again: it goes on where it stopped",
    )
