# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The lamp's schedule: which level it should have at a moment. The days around are computed once a day."""

from firmware.node.lazy import borrowed


class Plan:
    """Of the settings of a street light (kinds/street_light_controls.py), by name, as anything with ``[name]``."""

    def __init__(self, settings) -> None:
        self._settings = settings
        self._until_s = None  # type: int | None  # the almanac is good until then
        self._from_s = 0
        self._steps = []  # type: list[tuple[int, int]]  # (Unix seconds, percent), in order
        self._light = []  # type: list[tuple[int, int]]  # when the sun is up: from, to
        self._placed = False
        self._usable = False

    def changed(self) -> None:
        """The settings are others now."""
        self._until_s = None

    def usable(self, unix_s: int) -> bool:
        """Tell whether the programs can be followed: with a position, or when none of them needs the sun."""
        self._look(unix_s)
        return self._usable

    def level_pct(self, unix_s: int) -> int:
        """Return the level that the schedule wants; full light where it says nothing."""
        self._look(unix_s)
        level = 100
        for at, pct in self._steps:
            if at > unix_s:
                break
            level = pct
        return level

    def is_night(self, unix_s: int):
        """Tell whether the sun is below the altitude of the settings; None without a position."""
        self._look(unix_s)
        if not self._placed:
            return None
        return not any(rise <= unix_s < fall for rise, fall in self._light)

    def _look(self, unix_s: int) -> None:
        if self._until_s is not None and self._from_s <= unix_s < self._until_s:
            return
        with borrowed("lamp.almanac", "node.lamp.sun", "node.lamp.days") as almanac:
            found = almanac.around(self._settings, unix_s)
        self._from_s, self._until_s, self._steps, self._light, self._usable = found
        self._placed = self._settings["positioned"]
