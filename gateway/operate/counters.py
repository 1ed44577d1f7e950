# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Counts of what happened since the start, and their file, which ``lykta-gateway stats`` reads."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "counters.json"


class Counters:
    """Numbers by group and name. Any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._changed = True

    def add(self, group: str, name: str, amount: int = 1) -> None:
        """Count *amount* more."""
        if amount:
            with self._lock:
                self._groups[group][name] += amount
                self._changed = True

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return all counts."""
        with self._lock:
            return {group: dict(sorted(names.items())) for group, names in sorted(self._groups.items())}

    def save(self, directory: Path) -> None:
        """Write the file if anything changed. A failure is no reason to stop: the next call tries again."""
        with self._lock:
            changed, self._changed = self._changed, False
        if not changed:
            return
        temporary = directory / f"{FILE_NAME}.new"
        try:
            temporary.write_text(json.dumps(self.snapshot()), encoding="utf-8")
            temporary.replace(directory / FILE_NAME)
        except OSError:
            with self._lock:
                self._changed = True


def load(directory: Path) -> dict[str, dict[str, int]]:
    """Return the counts that the running, or the last, daemon saved; empty when there are none."""
    try:
        counts: dict[str, dict[str, int]] = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return counts
