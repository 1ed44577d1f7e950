# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a board sleeps, and for how long it did not: what a battery's life is counted from."""

from collections.abc import Callable


class Sleep:
    """*mode* is None while the board is awake, "light" or "deep", or "off" without power."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._since_s = now_s()
        self._mode: str | None = "off"
        self._seconds = {"awake": 0.0, "light": 0.0, "deep": 0.0, "off": 0.0}
        self.deep_sleeps = 0

    @property
    def mode(self) -> str | None:
        """As it is now."""
        return self._mode

    def go(self, mode: str | None) -> None:
        """From now on."""
        self._seconds = self.seconds()
        self._since_s = self._now_s()
        self.deep_sleeps += mode == "deep" and self._mode != "deep"
        self._mode = mode

    def seconds(self) -> dict[str, float]:
        """How long it was in each mode since it was made."""
        spent = self._now_s() - self._since_s
        return {
            name: before + (spent if name == (self._mode or "awake") else 0) for name, before in self._seconds.items()
        }

    def state(self) -> dict[str, object]:
        """For the board's state."""
        spent = {name: round(seconds, 3) for name, seconds in self.seconds().items()}
        asleep = None if self._mode == "off" else self._mode
        return {"asleep": asleep, "deep_sleeps": self.deep_sleeps, "mode_s": spent}
