# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A day's lines as a Parquet file, one row for each value, made anew when lines were added and put in place whole."""

from __future__ import annotations

import importlib.util
import json
import os
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from gateway.errors import PlatformError
from gateway.platforms.files.days import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateway.platforms.files.days import DayFiles

_READINGS_AT_ONCE = 20_000
"""What of a day is in memory at a time; also a row group."""


def check(name: str) -> None:
    """Raise PlatformError where Parquet cannot be written."""
    if importlib.util.find_spec("pyarrow") is None:
        raise PlatformError(
            f"{name}: parquet = true needs pyarrow, which is not installed: make extra, or pip install pyarrow. "
            f"Without it, parquet = false writes JSON Lines"
        )


def make(days: DayFiles, beat: Callable[[], None]) -> list[Path]:
    """Make the file of every day that grew; return them. Raises OSError, ValueError."""
    made = []
    for day, length in sorted(days.lengths.items()):
        if length and days.made.get(day) != length:
            made.append(_make(days.path(day), length, beat))
            days.made[day] = length
            days.save()
    return made


def _make(lines: Path, length: int, beat: Callable[[], None]) -> Path:
    import pyarrow
    from pyarrow import parquet

    text, number = pyarrow.string(), pyarrow.int64()
    schema = pyarrow.schema(
        [
            ("time", pyarrow.timestamp("ms", tz="UTC")),
            ("device", text),
            ("kind", text),
            ("seq", number),
            ("stream", text),
            ("record", number),
            ("longitude_deg", pyarrow.float64()),
            ("latitude_deg", pyarrow.float64()),
            ("name", text),
            ("unit", text),
            ("value", pyarrow.float64()),
            ("flag", pyarrow.bool_()),
            ("text", text),
        ]
    )
    path = lines.with_suffix(".parquet")
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            found = _readings(lines, length)
            while some := list(islice(found, _READINGS_AT_ONCE)):
                beat()
                rows = [row for reading in some for row in _rows(reading)]
                writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
        file.flush()
        os.fsync(file.fileno())
    settle(temporary, path)
    return path


def _readings(lines: Path, length: int) -> Iterator[dict[str, Any]]:
    with lines.open("rb") as file:
        while file.tell() < length:
            yield json.loads(file.readline())


def _rows(reading: dict[str, Any]) -> Iterator[dict[str, Any]]:
    same = {name: reading.get(name) for name in ("device", "kind", "seq", "stream", "record")}
    same |= {name: reading.get(name) for name in ("longitude_deg", "latitude_deg")}
    same["time"] = datetime.fromisoformat(reading["time"])
    for name, value in reading["values"].items():
        form = "flag" if isinstance(value, bool) else "text" if isinstance(value, str) else "value"
        yield {**same, "name": name, "unit": reading["units"].get(name), form: value}
