# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds, of a board or of a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. A *fault* explains why it does not work; `evidence` is the value that shows it."""

    name: str
    level: Level
    what: str
    reason: str = ""
    next_step: str = ""
    evidence: str = ""

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {key: value for key, value in vars(self).items() if value != ""}
