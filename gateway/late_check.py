# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A large database is read for damage beside its use, not before: with a million devices a start is seconds shorter.

What the check looks for, SQLite would notice where it comes across it, and condemn the file just as this does. The next
start sets it aside.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from gateway.operate.logs import EventLog
from gateway.sqlite_files import problems_of

if TYPE_CHECKING:
    from pathlib import Path

AT_START_BYTES = 64 * 1024 * 1024
"""What is smaller is checked before it is used: it takes a third of a second."""
_END_S = 1.0


def is_late(path: Path) -> bool:
    """Tell whether the file is so large that its check comes late."""
    try:
        return path.stat().st_size > AT_START_BYTES
    except OSError:
        return False


class LateCheck:
    """One reading of a file that is open, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.damage = ""
        """What is wrong, once that is known."""
        self.over = threading.Event()
        self._path = path
        self._log = EventLog("network")
        self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._thread = threading.Thread(target=self._run, name="late-check", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give up, if it is not over."""
        if self._thread.is_alive():
            self._connection.interrupt()
            self._thread.join(_END_S)
        if not self._thread.is_alive():
            self._connection.close()

    def _run(self) -> None:
        try:
            self.damage = "; ".join(problems_of(self._connection))
            self._log.info("checked", file=self._path, damage=self.damage or "none")
        except sqlite3.OperationalError as error:  # interrupted, or the disk does not answer: whoever reads sees it
            self._log.info("not_checked", file=self._path, why=error)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self.damage = str(error)
        self.over.set()
