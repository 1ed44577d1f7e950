# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Fields that rarely change need not be in every reading: bytes on air are battery and duty cycle."""


class Sparing:
    """Lets a value pass when it has changed by *step* or more, and every *every*-th time anyway."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._told = {}  # type: dict[str, float]
        self._since = every - 1  # the first reading after a start tells all

    def begin(self) -> None:
        """A reading begins."""
        self._since += 1
        if self._since >= self._every:
            self._since = 0
            self._told.clear()

    def put(self, values: dict, name: str, value, step: float = 1) -> None:
        """Add *value* to *values* when it is to be told; None never is."""
        if value is None:
            return
        told = self._told.get(name)
        if told is None or abs(value - told) >= step:
            self._told[name] = value
            values[name] = value
