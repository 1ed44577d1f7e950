# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Verified readings as JSON Lines, a file for each day of measuring (UTC), each reading once whatever is killed.

The ledger remembers how long each file is. What a crash left behind that length is cut off and written again.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from consumer.errors import LedgerError
from consumer.ledger.store import Ledger

_AT_A_TIME: Final = 500


class DayFiles:
    """Writes `readings-YYYY-MM-DD.jsonl` into *folder* from what the ledger holds. Raises LedgerError."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._database = ledger.database
        self._folder = folder
        self._name = str(folder.resolve())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._mend()
        except LedgerError:
            raise
        except OSError as error:
            raise LedgerError(f"readings cannot be written to {folder}: {error.strerror}") from error

    def write(self) -> int:
        """Write what is new in the ledger; return how many readings. Durable when it returns."""
        written = 0
        newest = int(self._database.rows("SELECT COALESCE(MAX(serial), 0) FROM envelope")[0][0])
        while (done := self._serial()) < newest:
            written += self._write_some(done, min(done + _AT_A_TIME, newest))
        return written

    def _write_some(self, done: int, upto: int) -> int:
        rows = self._database.rows(
            "SELECT envelope.serial, stream.gateway, reading.dev_eui, reading.seq, reading.time, reading.time_source, "
            "reading.measured, reading.units, reading.record FROM envelope "
            "JOIN stream ON stream.number = envelope.stream JOIN reading ON reading.stream = envelope.stream "
            "AND reading.record >= envelope.first AND reading.record <= envelope.last "
            "WHERE envelope.serial > ? AND envelope.serial <= ? ORDER BY envelope.serial, reading.record",
            (done, upto),
        )
        days: dict[str, list[str]] = {}
        for _, gateway, dev_eui, seq, time_s, source, measured, units, record in rows:
            line = {"gateway": gateway, "dev_eui": dev_eui, "seq": seq, "time": time_s, "time_source": source}
            line |= {"values": json.loads(measured), "units": json.loads(units), "record": record}
            day = datetime.fromtimestamp(time_s, UTC).date().isoformat()
            days.setdefault(f"readings-{day}.jsonl", []).append(json.dumps(line, ensure_ascii=False))
        sizes = {name: self._append(name, lines) for name, lines in days.items()}
        with self._database.transaction():
            for name, size in sizes.items():
                self._database.execute(
                    "INSERT INTO exported_file (folder, file, size) VALUES (?, ?, ?) "
                    "ON CONFLICT (folder, file) DO UPDATE SET size = excluded.size",
                    (self._name, name, size),
                )
            self._database.execute(
                "INSERT INTO exported (folder, serial) VALUES (?, ?) "
                "ON CONFLICT (folder) DO UPDATE SET serial = excluded.serial",
                (self._name, upto),
            )
        return len(rows)

    def _append(self, name: str, lines: list[str]) -> int:
        try:
            with (self._folder / name).open("ab") as file:
                file.write("".join(line + "\n" for line in lines).encode())
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except OSError as error:
            self._mend()
            raise LedgerError(f"{self._folder / name} cannot be written: {error.strerror}") from error

    def _mend(self) -> None:
        """Cut each file to what the ledger knows of it."""
        query = "SELECT file, size FROM exported_file WHERE folder = ?"
        known = {str(name): int(size) for name, size in self._database.rows(query, (self._name,))}
        for path in self._folder.glob("readings-*.jsonl"):
            size = known.get(path.name, 0)
            if path.stat().st_size > size:
                os.truncate(path, size)
        for name, size in known.items():
            path = self._folder / name
            if not path.exists() or path.stat().st_size < size:
                raise LedgerError(
                    f"{path} is shorter than what was written to it; it was changed by somebody else. Restore it, or "
                    f"write to a new folder: everything is still in the ledger"
                )

    def _serial(self) -> int:
        rows = self._database.rows("SELECT serial FROM exported WHERE folder = ?", (self._name,))
        return int(rows[0][0]) if rows else 0
