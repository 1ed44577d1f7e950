# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The lamp: a relay and a dimmer, faded from level to level. Full light before anything else is tried."""

import asyncio

_FULL = 65535
_STEP_MS = 100


class Lamp:
    """*pwm* is None on a lamp that cannot be dimmed; *low_pct* is the least it is dimmed to while on.

    ``on`` and ``dim_pct`` are what was asked for; a fade may still be on its way there.
    """

    def __init__(self, relay, pwm, inverted: bool = False) -> None:
        self._relay = relay
        self._pwm = pwm
        self._inverted = inverted
        self._fading = None  # type: asyncio.Task | None
        self._shown_pct = 100.0
        self.low_pct = 0
        self.full_pct = 100  # constant light output: what "100 percent" is of the lamp's power now
        self.on = True
        self.dim_pct = 100
        self.switchings = 0
        self._relay.value(1)
        self._show(100)

    def go(self, pct: int, fade_ms: int = 0) -> None:
        """Go to a level, 0 to 100 percent of full light; 0 switches off at the end of the fade."""
        pct = min(100, max(0, pct))
        if pct:
            pct = max(pct, self.low_pct) if self._pwm is not None else 100
        if pct == (self.dim_pct if self.on else 0):
            return
        if (pct > 0) != self.on:
            self.switchings += 1
        self.on = pct > 0
        if pct:
            self.dim_pct = pct
            self._relay.value(1)
        self._stop()
        if self._pwm is None or fade_ms < _STEP_MS:
            self._arrive(pct)
            return
        self._fading = asyncio.create_task(self._fade(pct, fade_ms))

    def now(self, pct: int) -> None:
        """Be at a level at once, whatever is going on, and even if the same was asked for before."""
        self._stop()
        self.on = pct > 0
        if pct:
            self.dim_pct = pct
            self._relay.value(1)
        self._arrive(pct)

    def _stop(self) -> None:
        if self._fading is not None:
            self._fading.cancel()
            self._fading = None

    def _arrive(self, pct: int) -> None:
        if pct:
            self._show(pct)
        else:
            self._relay.value(0)
            self._shown_pct = 0.0

    async def _fade(self, pct: int, fade_ms: int) -> None:
        begun, steps = self._shown_pct, max(1, fade_ms // _STEP_MS)
        for step in range(1, steps):
            self._show(begun + (pct - begun) * step / steps)
            await asyncio.sleep_ms(_STEP_MS)
        self._arrive(pct)

    def _show(self, pct: float) -> None:
        self._shown_pct = pct
        if self._pwm is not None:
            duty = int(pct * self.full_pct * _FULL / 10000)
            self._pwm.duty_u16(_FULL - duty if self._inverted else duty)
