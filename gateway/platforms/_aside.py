# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings that an output's other side will never take: kept in a file for a person, so that the rest can go on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.releases.release import Released

MAX_BYTES = 4 * 1024 * 1024
"""Then the file becomes the old one, and the old one goes."""
_MAX_WHY_CHARS = 500


class Aside:
    """A file of JSON Lines, and the one before it. Without a folder it only counts."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self.path = None if folder is None else folder / f"{name}.set-aside.jsonl"
        self.count = 0
        """Since the start."""

    def put(self, reading: Released, why: str) -> None:
        """Keep a reading. Raises OSError."""
        self.count += 1
        if self.path is None:
            return
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "why": why[:_MAX_WHY_CHARS],
                "device": reading.device,
                "seq": reading.seq,
                "stream": reading.stream,
                "record": reading.record,
                "time_s": reading.time_s,
                "values": {field: told.value for field, told in reading.fields.items()},
            }
        )
        if self.path.is_file() and self.path.stat().st_size + len(line) > MAX_BYTES:
            self.path.replace(self.path.with_suffix(".old.jsonl"))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
