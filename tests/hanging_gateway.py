# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway with drivers that fail, each while there is a file of its name in the folder LYKTA_FAULTS.

open: a serial port's does not come back from opening it. receive: what the UDP socket gives raises what nobody expects.
A link may take two seconds for a turn here, not sixty, and goes around ten times as often as it does.
"""

import os
import select
import sys
from pathlib import Path
from typing import Any

import serial

from gateway import turns
from gateway.cli import main
from gateway.links.lora import bundle

_FAULTS = Path(os.environ["LYKTA_FAULTS"])


class _Hanging(serial.Serial):
    def open(self) -> None:
        while (_FAULTS / "open").exists():
            select.select([], [], [], 0.02)
        super().open()


class _Failing:
    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def receive(self) -> Any:
        came = self._real.receive()
        if came and (_FAULTS / "receive").exists():
            raise RuntimeError("nobody expects this")
        return came


_datagrams = bundle.datagrams


def _failing(*arguments: Any, **options: Any) -> Any:
    return _Failing(_datagrams(*arguments, **options))


if __name__ == "__main__":
    serial.Serial = _Hanging
    bundle.datagrams = _failing  # type: ignore[assignment]
    turns.TURN_S = 0.5
    turns.Turns.longest_turn_s = float(os.environ["LYKTA_TURN_LIMIT_S"])
    sys.exit(main())
