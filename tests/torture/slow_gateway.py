# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The gateway on a slow disk: each commit takes as long as the file in LYKTA_COMMIT_DELAY says (seconds).

SIGUSR1 asks it where each of its threads is: on stderr, whatever state it is in.
"""

import faulthandler
import os
import select
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from gateway.cli import main

_DELAY = Path(os.environ["LYKTA_COMMIT_DELAY"])


class _Slow(sqlite3.Connection):
    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            select.select([], [], [], float(_DELAY.read_text() or 0))  # time.sleep and libfaketime do not get on
        return super().execute(statement, *values)


_connect = sqlite3.connect


def _slow(*arguments: Any, **options: Any) -> sqlite3.Connection:
    return _connect(*arguments, **{"factory": _Slow, **options})


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sqlite3.connect = _slow  # type: ignore[assignment]
    sys.exit(main())
