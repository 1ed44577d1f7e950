# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A piece of work on a board that survives pulled cables and resets: it is done again until it succeeds or gives up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from provisioning.bench.board import Board
from provisioning.bench.errors import BenchError, NoSuchPort
from provisioning.bench.line import BAUD, Line
from provisioning.bench.repl import RawRepl

log = logging.getLogger(__name__)

Result = TypeVar("Result")
ATTEMPTS: Final = 4
WAIT_S: Final = 30.0
_REST_S: Final = 0.3


class Session:
    """A board on a port. Work that is handed in must be repeatable: it looks at what is there before it changes it."""

    def __init__(
        self, port: str, *, baud: int = BAUD, attempts: int = ATTEMPTS, wait_s: float = WAIT_S, watchdog_ms: int = 0
    ) -> None:
        """*wait_s*: how long a port that went away is waited for. *watchdog_ms*: of a foreign program; 0: none."""
        self.port = port
        self._baud = baud
        self._attempts = attempts
        self._wait_s = wait_s
        self._watchdog_ms = watchdog_ms
        self.interruptions = 0

    def do(self, work: Callable[[Board, RawRepl], Result]) -> Result:
        """Do *work* at the raw prompt; after a lost cable or a reset do it again. Raises what it ends with."""
        for attempt in range(1, self._attempts + 1):
            line = Line(self.port, self._baud)
            try:
                line.open(self._wait_s if attempt > 1 else min(self._wait_s, 8.0))
                repl = RawRepl(line)
                repl.enter()
                board = Board(repl)
                if self._watchdog_ms:
                    board.keep_fed(self._watchdog_ms)
                return work(board, repl)
            except BenchError as error:
                never_there = isinstance(error, NoSuchPort) and attempt == 1
                if not error.retry or never_there or attempt == self._attempts:
                    raise
                self.interruptions += 1
                log.info("%s: %s; attempt %d of %d", self.port, error.state, attempt + 1, self._attempts)
            finally:
                line.close()
            time.sleep(_REST_S)
        raise AssertionError("unreachable")

    def listen(self, hear: Callable[[Line], Result]) -> Result:
        """Have the line without stopping what runs."""
        with Line(self.port, self._baud) as line:
            return hear(line)
