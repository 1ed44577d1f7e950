# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Small files beside the databases: what was sent in the last hour, who was refused. Losing one is no disaster."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.network.duty import DutyBudget
    from gateway.network.quarantine import Quarantine

DUTY_FILE = "duty.json"
QUARANTINE_FILE = "quarantine.json"


def save(path: Path, content: object) -> None:
    """Write JSON, whole or not at all; what is renamed before it is on disk may be empty afterwards. Raises OSError."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path) -> Any:
    """Return what was saved; None when there is nothing that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def save_duty(path: Path, budget: DutyBudget, wall_s: float, monotonic_s: float) -> None:
    """Note what was sent, so that a restart does not give the hour anew. Raises OSError."""
    save(path, {"at": wall_s, "spent": budget.save(int(monotonic_s * 1_000_000))})


def restore_duty(path: Path, budget: DutyBudget, wall_s: float, monotonic_s: float) -> None:
    """Take over what an earlier process noted. A clock that went back makes it count longer, never shorter."""
    saved = load(path)
    try:
        passed_us = int(max(0.0, wall_s - saved["at"]) * 1_000_000)
        spent = [
            (str(gateway), int(band), int(age_us) + passed_us, int(airtime_us))
            for gateway, band, age_us, airtime_us in saved["spent"]
        ]
    except (TypeError, KeyError, ValueError):
        return
    budget.restore(spent, int(monotonic_s * 1_000_000))


def save_changed(directory: Path, quarantine: Quarantine, budget: DutyBudget, at: tuple[float, float]) -> None:
    """Write what changed since the last call; *at* is the wall and the monotonic clock. Raises OSError."""
    refused = quarantine.changed()
    if refused is not None:
        save(directory / QUARANTINE_FILE, refused)
    if budget.changed:
        budget.changed = False
        save_duty(directory / DUTY_FILE, budget, *at)
