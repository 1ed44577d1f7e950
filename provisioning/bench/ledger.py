# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The bench's ledger: what happened to each board, a line of JSON for each step, appended and synced.

It holds no secret. A job that was interrupted reads it to know which device a board was to become.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from provisioning.errors import ProvisioningError

NAME: Final = "ledger.jsonl"
STEPS: Final = ("begun", "registered", "installed", "identity", "proved", "finished", "recorded", "labelled", "done")


class Ledger:
    """The ledger in a folder. Several jobs write to it at once, in this process and in others."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def add(self, uid: str, step: str, **facts: Any) -> None:
        """Append one step of a board's job."""
        entry = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "uid": uid, "step": step, **facts}
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        try:
            with self._lock, self.path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a power cut tore the last line: it costs itself only
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unusable(self.path, error) from error

    def entries(self, uid: str | None = None) -> list[dict[str, Any]]:
        """What is in it, oldest first; of one board, or all. A line that a power cut left half is left out."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unusable(self.path, error) from error
        found = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and (uid is None or entry.get("uid") == uid):
                found.append(entry)
        return found

    def device_of(self, uid: str) -> tuple[str, bool] | None:
        """The DevEUI that a board was given last, and whether its job was done; None for a board never seen."""
        entries = self.entries(uid)
        known = [entry for entry in entries if entry.get("dev_eui")]
        if not known:
            return None
        dev_eui = str(known[-1]["dev_eui"])
        return dev_eui, any(entry["step"] == "done" and entry.get("dev_eui") == dev_eui for entry in known)


def _unusable(path: Path, error: OSError) -> ProvisioningError:
    return ProvisioningError(
        f"The bench's ledger cannot be used: {error.strerror}.",
        value=path,
        reason="Without it an interrupted job would give a board a second identity.",
        next_step="make the folder writable, or free some space",
    )
