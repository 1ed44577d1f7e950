# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""When a street needs light."""

_ON_BELOW_LX = 35
_OFF_ABOVE_LX = 70  # far enough above, so that the lamp's own light on the photocell does not switch it off
_STEADY = 3  # so many looks in a row must agree: headlights and lightning do not switch a lamp
_BLIND = 5  # after so many looks without a value the lamp goes on


class Twilight:
    """Decides from the ambient light whether a lamp is needed, with hysteresis, and on when it cannot see."""

    def __init__(self) -> None:
        self.need_light = True
        self._on_below_lx = _ON_BELOW_LX
        self._off_above_lx = _OFF_ABOVE_LX
        self._against = 0
        self._blind = 0

    def limits(self, on_below_lx: int, off_above_lx: int) -> None:
        """Judge by these from now on."""
        self._on_below_lx = on_below_lx
        self._off_above_lx = off_above_lx

    def look(self, lux: float | None) -> bool:
        """Take one look, None when the photocell gave nothing, and return whether the lamp should be on."""
        if lux is None:
            self._blind += 1
            if self._blind >= _BLIND:
                self.need_light = True
            return self.need_light
        self._blind = 0
        differs = lux > self._off_above_lx if self.need_light else lux < self._on_below_lx
        self._against = self._against + 1 if differs else 0
        if self._against >= _STEADY:
            self.need_light = not self.need_light
            self._against = 0
        return self.need_light
