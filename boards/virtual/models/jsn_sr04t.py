# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""JSN-SR04T in its serial mode: measures when it hears 0x55, and sees nothing nearer than 21 cm."""

from typing import Literal

from boards.virtual.models._ranger import Ranger, RangerConfig


class Config(RangerConfig):
    """UART and supply."""

    model: Literal["jsn_sr04t"]


class Chip(Ranger):
    """Reads the bin's content."""

    nearest_mm = 210
    farthest_mm = 6000

    def receive(self, data: bytes) -> bytes:
        """A frame for each question; what comes while it measures is not heard."""
        return self.frame() if self.powered and 0x55 in data else b""
