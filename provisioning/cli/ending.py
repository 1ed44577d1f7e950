# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a command that has started processes and made files ends when it is asked to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ASKED_BY: Final = (signal.SIGTERM, signal.SIGHUP)
"""A supervisor or `kill`, and a terminal that was closed."""


@contextmanager
def as_by_ctrl_c() -> Iterator[None]:
    """While the block lasts a request to end is a KeyboardInterrupt, once. Afterwards the process ends by that signal.

    So whatever the block holds is tidied up, and who asked sees that it was obeyed. What is ignored (nohup) stays so.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one may say what a signal does
        yield
        return
    received: list[int] = []

    def asked(number: int, _frame: FrameType | None) -> None:
        if not received:  # a second one does not cut the tidying up short
            received.append(number)
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _ASKED_BY}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, asked)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
