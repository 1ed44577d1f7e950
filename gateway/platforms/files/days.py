# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One file of lines for each day, to which every line is added exactly once.

Before lines are added, a progress file says how long each file is; after they are on disk, it says how long each file
is now and which lines these were. What a crash left beyond the noted length is cut off at the next start. What comes
again, because the outbox did not hear of it, is known by its name and passed over.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

PROGRESS = "progress.json"
_MAX_DAYS = 400
"""Of which lengths are kept. A file that is not listed is taken as it is when it is written to again."""
_MAX_OLD = 4096
"""Names from before a start that are kept for want of a note. More is more than an output gets at once."""


class DayFiles:
    """The files of one folder. Used in one thread at a time. Raises OSError; then ``open`` puts all right again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lengths: dict[str, int] = {}
        """Bytes by day, as noted."""
        self.made: dict[str, int] = {}
        """By day, of how many bytes its other form was made."""
        self._fresh: dict[str, None] = {}
        """Names of the lines that may come again, in the order in which they came."""
        self._offered: set[str] = set()
        """Names of all lines since the last note, new or passed over: what the next note is about."""
        self._lock = -1

    def path(self, day: str) -> Path:
        """Return the file of a day, ``2026-11-22``."""
        return self.folder / f"{day}.jsonl"

    def open(self) -> None:
        """Take the folder as the last process left it. Raises ValueError for a progress file that is not ours."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._only_one()
        path = self.folder / PROGRESS
        self.lengths, self.made, self._fresh, self._offered = {}, {}, {}, set()
        if path.is_file():
            self._read(path)
        for day, length in self.lengths.items():
            file = self.path(day)
            size = file.stat().st_size if file.is_file() else 0
            if size > length:
                os.truncate(file, length)
            self.lengths[day] = min(size, length)  # shorter: somebody took it away

    def close(self) -> None:
        """Let others have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _only_one(self) -> None:
        if self._lock < 0:
            self._lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise BlockingIOError("another output writes into this folder; give each a folder of its own") from error

    def append(self, lines: Mapping[str, Sequence[tuple[str, bytes]]]) -> int:
        """Add lines by day, each with its name; return how many of them were new. On return they are on disk."""
        self._offered |= {name for some in lines.values() for name, _ in some}
        new = {day: [line for line in some if line[0] not in self._fresh] for day, some in lines.items()}
        new = {day: some for day, some in new.items() if some}
        if not new:
            return 0
        unlisted = [day for day in new if day not in self.lengths]
        if unlisted:
            for day in unlisted:
                self.lengths[day] = self.path(day).stat().st_size if self.path(day).is_file() else 0
            self.save()
        lengths = dict(self.lengths)
        for day, some in new.items():
            lengths[day] += _add(self.path(day), [line for _, line in some])
        _sync(self.folder)
        self.lengths = lengths
        self._fresh |= dict.fromkeys(name for some in new.values() for name, _ in some)
        self.save()
        return sum(len(some) for some in new.values())

    def noted(self) -> None:
        """What came until now will not come again. What came before a crash only may, where it comes in other parts."""
        old = [name for name in self._fresh if name not in self._offered]
        self._fresh, self._offered = dict.fromkeys(old[-_MAX_OLD:]), set()

    def save(self) -> None:
        """Write the progress file, whole or not at all."""
        kept = sorted(self.lengths)[-_MAX_DAYS:]
        found = {
            "lengths": {day: self.lengths[day] for day in kept},
            "made": {day: self.made[day] for day in kept if day in self.made},
            "fresh": list(self._fresh),
        }
        replace(self.folder / PROGRESS, [json.dumps(found).encode()])

    def _read(self, path: Path) -> None:
        try:
            found = json.loads(path.read_bytes())
            self.lengths = {str(day): int(length) for day, length in found["lengths"].items()}
            self.made = {str(day): int(length) for day, length in found["made"].items()}
            self._fresh = dict.fromkeys(str(name) for name in found["fresh"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{PROGRESS} is not what this output wrote ({error}); without it readings could be written twice. "
                f"Move the folder away, or restore the file, and it goes on"
            ) from error


def replace(path: Path, parts: Iterable[bytes]) -> None:
    """Put a file in the place of another in one step. Raises OSError; then the other is still there."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    settle(temporary, path)


def settle(temporary: Path, path: Path) -> None:
    """Give a file that is on disk its name, so that it stays."""
    temporary.replace(path)
    _sync(path.parent)


def _add(path: Path, lines: Sequence[bytes]) -> int:
    data = b"".join(lines)
    with path.open("ab", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    return len(data)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
