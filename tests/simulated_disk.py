# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A disk under SQLite that does what disks may do: a cut loses, tears and reorders all that was not synced.

The outbox runs unchanged: its SQLite is another one, with a file system in memory. WAL needs no shared memory when
nobody else reads (locking_mode EXCLUSIVE), and that is the only difference.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

_SECTOR = 512
_Op = tuple[int, bytes | None]
"""A write (offset, data), or a truncation (size, None)."""


class _File:
    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = b""
        self.pending: list[_Op] = []

    def apply(self, op: _Op) -> None:
        offset, data = op
        if data is None:
            del self.data[offset:]
        else:
            self.data.extend(bytes(max(0, offset - len(self.data))))
            self.data[offset : offset + len(data)] = data


class Disk:
    """Files by name. After ``cut_after`` more operations that change something, the power goes."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.files: dict[str, _File] = {}
        self.cut_after: int | None = None
        self.off = False
        self.full = False
        self.read_only = False
        self.operations = 0

    def power_on(self) -> None:
        """What a restart finds: everything synced, and of the rest whatever the disk happened to do."""
        kept = self.rng.choice((0.0, 0.3, 0.9, 1.0))
        for file in self.files.values():
            file.data = bytearray(file.synced)
            for op in file.pending:
                self._perhaps(file, op, kept)
            file.synced, file.pending = bytes(file.data), []
        self.off = False
        self.cut_after = None

    def _perhaps(self, file: _File, op: _Op, kept: float) -> None:
        offset, data = op
        if data is None:
            if self.rng.random() < kept:
                file.apply(op)
            return
        for start in range(0, len(data), _SECTOR):
            if self.rng.random() < kept:
                sector = data[start : start + _SECTOR]
                torn = self.rng.random() < 0.05
                file.apply((offset + start, sector[: self.rng.randrange(len(sector))] if torn else sector))

    def change(self, file: _File, op: _Op | None) -> None:
        """Write, truncate or (None) sync."""
        self.operations += 1
        if self.off:
            raise apsw.IOError("no power")
        if self.read_only and op is not None:
            raise apsw.ReadOnlyError("read-only disk")
        if self.full and op is not None and op[1] is not None and op[0] + len(op[1]) > len(file.data):
            raise apsw.FullError("disk full")
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                self.off = True
                if op is not None:
                    file.pending.append(op)  # under way: it may be on the disk, or in part
                raise apsw.IOError("power cut")
        if op is None:
            file.synced, file.pending = bytes(file.data), []
        else:
            file.apply(op)
            file.pending.append(op)


class _Handle:
    """An open file, as SQLite's VFS sees it."""

    def __init__(self, disk: Disk, file: _File) -> None:
        self._disk = disk
        self._file = file

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's names
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.change(self._file, (offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.change(self._file, (size, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.change(self._file, None)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.data)

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return _SECTOR

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    xUnlock = xLock  # noqa: N815

    def xClose(self) -> None:  # noqa: N802
        pass


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, base="")
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        flags[1] = flags[0]
        return _Handle(self._disk, self._disk.files.setdefault(path, _File()))

    def xDelete(self, name: str, sync_directory: bool) -> None:  # noqa: N802
        if self._disk.off:
            raise apsw.IOError("no power")
        self._disk.files.pop(name, None)

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: N802
        return name in self._disk.files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name


class _Cursor:
    def __init__(self, rows: list[Any], rowcount: int, lastrowid: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


class Connection:
    """The part of sqlite3.Connection that the gateway uses."""

    def __init__(self, vfs: str, path: Path) -> None:
        self._db = apsw.Connection(str(path), vfs=vfs)
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, statement: str, values: Sequence[Any] = ()) -> _Cursor:
        return self._ran(lambda: list(self._db.execute(statement, tuple(values))))

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> _Cursor:
        return self._ran(lambda: list(self._db.executemany(statement, [tuple(row) for row in rows])))

    def executescript(self, script: str) -> _Cursor:
        return self.execute(script)

    def close(self) -> None:
        with suppress(apsw.Error):  # as sqlite3's own close, which does not care for a last checkpoint that fails
            self._db.close(True)

    def _ran(self, work: Callable[[], list[Any]]) -> _Cursor:
        try:
            return _Cursor(work(), self._db.changes(), self._db.last_insert_rowid())
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise sqlite3.DatabaseError(str(error)) from error
        except apsw.ConstraintError as error:
            raise sqlite3.IntegrityError(str(error)) from error
        except apsw.ConnectionClosedError:
            return _Cursor([], 0, 0)
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error


@contextmanager
def simulated_disk(rng: random.Random) -> Iterator[Disk]:
    """Everything that the gateway opens as a database is on the disk that this gives."""
    disk = Disk(rng)
    name = f"simulated-{id(disk)}"
    vfs = _Vfs(name, disk)
    shim = SimpleNamespace(
        connect=lambda path, **_: Connection(name, path),
        Connection=sqlite3.Connection,
        Error=sqlite3.Error,
        DatabaseError=sqlite3.DatabaseError,
        IntegrityError=sqlite3.IntegrityError,
        OperationalError=sqlite3.OperationalError,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.sqlite_files.sqlite3", shim)
        try:
            yield disk
        finally:
            vfs.unregister()
