# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where a board stands in the virtual air."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Site:
    """The air's socket, the name of the board's radio in it, its place, and the socket of the Bluetooth air."""

    air: Path | None
    radio_id: str
    x_m: float = 0.0
    y_m: float = 0.0
    antenna_dbi: float = 0.0
    ble: Path | None = None
