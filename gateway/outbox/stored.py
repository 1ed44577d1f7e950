# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The outbox on a disk that takes nothing: what is stored can be read, what platforms take is remembered in memory.

SQLite reads a file in WAL mode only where it can make files beside it, unless it is told that nobody else is there. A
write-ahead log that a crash left is read with its index in memory (``locking_mode = EXCLUSIVE``), which needs locks
that a file opened for reading cannot have: so without locks (``vfs=unix-none``), for the gateway's own lock is held.
Without a log the file is all there is, and nothing changes it (``immutable``).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.errors import StoreUnavailable
from gateway.outbox import retention
from gateway.outbox.lanes import END, Lanes
from gateway.outbox.schema import LOSS, VERSION, prepare
from gateway.outbox.store import Outbox, Receipt
from gateway.outbox.stream import Head, Row
from gateway.records.envelope import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway.outbox.devices import Arrival
    from gateway.outbox.receipted import Held
    from gateway.outbox.store import Accepted

_PROBE_BYTES = 128 * 1024
"""What SQLite makes beside a file is smaller."""


def takes_writes(folder: Path) -> bool:
    """Tell whether the disk of a folder takes a small file just now."""
    path = folder / "writable.probe"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            whole = os.write(descriptor, bytes(_PROBE_BYTES)) == _PROBE_BYTES
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return whole


class StoredOutbox(Outbox):
    """Reads what is stored; takes nothing."""

    def __init__(self, path: Path, noted: dict[str, tuple[Lanes, int]]) -> None:
        """*noted*: what each platform waits for, and how many readings it took meanwhile; changed here.

        Never fails: what cannot be read is an empty outbox, and ``why_empty`` says why.
        """
        self._edges: dict[str, set[int]] = {}
        self._refused: set[str] = set()
        self.given_up = 0
        self.why_empty = ""
        self._noted = noted
        try:
            self._db = _open(path)
        except (sqlite3.Error, UnicodeDecodeError, StoreUnavailable) as error:
            self.why_empty = str(error)
            self._db = _empty()
        self._head = self._newest()

    def _newest(self) -> Head:
        query = "SELECT number, stream_id, next_record, previous FROM stream ORDER BY number DESC LIMIT 1"
        with suppress(StoreUnavailable), _readable():
            row = self._db.execute(query).fetchone()
            if row is not None:
                return Head(*row)
        return Head(0, b"", 1, b"")

    def accept(self, arrivals: Sequence[Arrival]) -> Accepted:
        """Take nothing. Raises StoreUnavailable."""
        raise StoreUnavailable(f"the disk takes nothing, so {len(arrivals)} frames are not acknowledged")

    def receipt(self, dev_eui: bytes) -> Receipt:
        """Return what may be told to a device: nothing."""
        return Receipt(0, [])

    def lanes(self, platform: str) -> Lanes:
        """Return what a platform waits for, by what it took since; everything where the note cannot be read."""
        if platform in self._noted:
            return self._noted[platform][0]
        with _readable():
            row = self._db.execute("SELECT through, waiting FROM lane WHERE platform = ?", (platform,)).fetchone()
        try:
            return Lanes.from_bytes(row[1]) if row and row[1] else Lanes([[row[0] if row else 0, END]])
        except ValueError:
            return Lanes()

    def last(self) -> int:
        """Return the id of the newest envelope; 0 when there is none."""
        with _readable():
            return int(self._db.execute("SELECT coalesce(max(id), 0) FROM envelope").fetchone()[0])

    def read(self, after: int, limit: int, upto: int = END) -> list[Row]:
        """Return envelopes in order. What is damaged is passed by: the next start that can write rescues the rest."""
        query = "SELECT id, CASE WHEN rank >= ? THEN 0 ELSE last - first + 1 END, message, digest FROM envelope "
        found: list[Row] = []
        with _readable():
            for row, readings, message, sha256 in self._db.execute(
                f"{query}WHERE id > ? AND id <= ? ORDER BY id", (LOSS, after, upto)
            ):
                if isinstance(message, bytes) and digest(message) == sha256:
                    found.append(Row(row, readings, message))
                if len(found) == limit:
                    break
        return found

    def published(self, platform: str, lanes: Lanes, readings: int) -> None:
        """The platform waits only for *lanes* now: remembered until the process ends, or the disk takes writes."""
        self._noted[platform] = lanes, self._noted.get(platform, (lanes, 0))[1] + readings

    def published_soon(self, platform: str, lanes: Lanes, readings: int) -> None:
        """As ``published``: nothing is written either way."""
        self.published(platform, lanes, readings)

    def prune(self) -> int:
        """Delete nothing."""
        return 0

    def used_bytes(self) -> int:
        """Return how much of ``max_bytes`` is in use."""
        with _readable():
            return retention.used_bytes(self._db)

    def take_receipt(self, platform: str, held: Held) -> None:
        """Keep nothing: a platform's receipts say all that it holds, and come again."""

    def lacking(self, platform: str, upto: int) -> list[int]:
        """Return nothing: what a platform lacks is sent again when its receipts can be kept."""
        return []

    def gone(self, platform: str) -> int:
        """Return 0: nothing was deleted meanwhile."""
        return 0


@contextmanager
def _readable() -> Iterator[None]:
    """Turn SQLite's errors into StoreUnavailable. No mark of damage: it could not be written."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"what is stored cannot be read: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    """Open without writing anything. Raises sqlite3.Error, StoreUnavailable."""
    if not path.is_file():
        raise StoreUnavailable(f"there is no outbox at {path}")
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro&vfs=unix-none" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    made = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, isolation_level=None, check_same_thread=False)
    try:
        made.execute("PRAGMA locking_mode = EXCLUSIVE")
        made.execute("PRAGMA query_only = ON")
        made.execute("SELECT count(*) FROM lane").fetchone()
        version = made.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        made.close()
        raise
    if version != VERSION:
        made.close()
        raise StoreUnavailable(f"{path} is of version {version}, and to make it version {VERSION} takes writes")
    return made


def _empty() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    prepare(made)
    return made
