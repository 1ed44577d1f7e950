# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The four bytes in which ultrasonic range finders tell a distance: 0xFF, high, low, sum of the three modulo 256.

In millimetres, 9600 baud. A chip either sends them by itself or after it was asked.
"""

import asyncio
import errno

_POLL_MS = 10


class UartRange:
    """*ask* is what makes the chip measure, empty for one that does so by itself; *power* a pin, or None."""

    def __init__(self, uart, power, ask: bytes, limits_mm: tuple, times_ms: tuple) -> None:
        self._uart = uart
        self._power = power
        self._ask = ask
        self.nearest_mm, self.farthest_mm = limits_mm
        self._settle_ms, self._timeout_ms = times_ms

    async def ranges_mm(self, count: int) -> list:
        """Return *count* distances or fewer, as many as came undamaged. Raises OSError when none did."""
        if self._power is not None:
            self._power.value(1)
            await asyncio.sleep_ms(self._settle_ms)
        try:
            while self._uart.any():  # from before, or a greeting
                self._uart.read(self._uart.any())
            found = []
            damaged = False
            for _ in range(count):
                distance = await self._one()
                if distance is None:
                    damaged = True
                else:
                    found.append(distance)
        finally:
            if self._power is not None:
                self._power.value(0)
        if not found:
            raise OSError(errno.EIO if damaged else errno.ETIMEDOUT)
        return found

    async def _one(self) -> int | None:
        if self._ask:
            self._uart.write(self._ask)
        received = b""
        for _ in range(self._timeout_ms // _POLL_MS):
            await asyncio.sleep_ms(_POLL_MS)
            waiting = self._uart.any()
            if waiting:
                received += self._uart.read(waiting) or b""
                distance = find_distance(received)
                if distance is not None:
                    return distance
        return None


def find_distance(received: bytes) -> int | None:
    """Return the millimetres of the first whole frame with a right sum, whatever noise stands before it."""
    start = received.find(b"\xff")
    while start >= 0 and start + 4 <= len(received):
        if (0xFF + received[start + 1] + received[start + 2]) & 0xFF == received[start + 3]:
            return received[start + 1] << 8 | received[start + 2]
        start = received.find(b"\xff", start + 1)
    return None
