# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a register in a file has changed, told without reading it: SQLite counts what other connections commit."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

Token = tuple[int, int]


class FileVersion:
    """A connection of its own that never writes, so that every commit is another's (PRAGMA data_version)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._opened = 0

    def token(self) -> Token | None:
        """Return what stays equal as long as nothing is committed; None when it cannot be told just now."""
        try:
            inode = self._path.stat().st_ino
            if self._connection is None or inode != self._inode:  # another file has taken its place
                self.close()
                self._connection = sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
                )
                self._inode, self._opened = inode, self._opened + 1  # the counts of two connections do not compare
            return self._opened, int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except (OSError, sqlite3.Error):
            self.close()
            return None

    def close(self) -> None:
        """Let the file go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
