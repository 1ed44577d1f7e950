# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a tool printed before it failed for a reason that nobody knows: kept, for a person to read or to send on."""

from __future__ import annotations

import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)
KEPT: Final = 20
"""So many stay, of each tool."""


def folder() -> Path:
    """Where: below $XDG_STATE_HOME, which that specification means for logs. A board is flashed without a city."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lykta" / "logs"


def keep(tool: str, printed: bytes) -> Path | None:
    """Write a new file, for its owner alone, and return it; None when that cannot be done, which the log then says."""
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        when = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        handle, name = tempfile.mkstemp(".log", f"{tool}-{when}-", folder())
        with os.fdopen(handle, "wb") as file:
            file.write(printed)
        for old in sorted(folder().glob(f"{tool}-*.log"))[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("what %s printed is not kept: %s", tool, error)
        return None
    return Path(name)
