# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What clients type, on its way to the interpreter: in order, and with Ctrl-C where it stands."""

import asyncio
from collections import deque
from collections.abc import Callable

from boards.virtual.interpreter import Interpreter

INTERRUPT = b"\x03"
INTERRUPT_REST_S = 0.1  # the port dies of a second SIGINT that comes before it has handled the first
LIMIT_BYTES = 65_536


class Keyboard:
    """Input of the console. `interpreter` gives the running one, or None; input waits for the next."""

    def __init__(self, interpreter: Callable[[], Interpreter | None]) -> None:
        self._interpreter = interpreter
        self._typed: deque[bytes] = deque()
        self._something = asyncio.Event()
        self._interrupting = False
        self.interruptible = False
        """Ctrl-C may interrupt; before boot.py, between programs and after kbd_intr(-1) it is a byte like any other."""

    def receive(self, data: bytes) -> None:
        """Bytes from a client; what is too much is lost."""
        interpreter = self._interpreter()
        if interpreter is not None and not self._typed and not self._interrupting and INTERRUPT not in data:
            interpreter.type(data)  # nothing waits before it
            return
        if sum(map(len, self._typed)) + len(data) <= LIMIT_BYTES:
            self._typed.append(data)
            self._something.set()

    def clear(self) -> None:
        """Power is gone, and with it what was typed."""
        self._typed.clear()

    def interpreter_started(self) -> None:
        """There is someone to type to."""
        self.interruptible = False
        self._something.set()

    async def run(self) -> None:
        """Hand on what comes, until cancelled."""
        while True:
            await self._something.wait()
            interpreter = self._interpreter()
            if not self._typed or interpreter is None:
                self._something.clear()
                continue
            before, interrupt, after = self._typed.popleft().partition(INTERRUPT)
            if after:
                self._typed.appendleft(after)
            interpreter.type(before)
            if not interrupt:
                continue
            self._interrupting = True
            if self.interruptible and await interpreter.interrupt():
                await asyncio.sleep(INTERRUPT_REST_S)
            else:
                interpreter.type(INTERRUPT)
            self._interrupting = False
