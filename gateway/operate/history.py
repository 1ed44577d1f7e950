# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The last quarter of an hour in numbers, for the small plots of the status page."""

from __future__ import annotations

from collections import deque
from typing import Any

EVERY_S = 5.0
SAMPLES = 180


class History:
    """Rates between one sample and the next, the oldest first."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float, int]] = deque(maxlen=SAMPLES)
        self._before: tuple[float, int, int] | None = None

    def sample(self, now_s: float, counts: dict[str, dict[str, int]], queued: int) -> None:
        """Take the counters of this moment (monotonic seconds)."""
        heard = counts.get("frames", {}).get("heard", 0)
        stored = counts.get("readings", {}).get("new", 0)
        if self._before is not None and now_s > self._before[0]:
            passed_s = now_s - self._before[0]
            self._samples.append(
                (now_s, (heard - self._before[1]) / passed_s, (stored - self._before[2]) / passed_s, queued)
            )
        self._before = now_s, heard, stored

    def series(self) -> dict[str, Any]:
        """Return the samples by name; rates are per second."""
        samples = list(self._samples)
        return {
            "every_s": EVERY_S,
            "frames_per_s": [round(sample[1], 3) for sample in samples],
            "readings_per_s": [round(sample[2], 3) for sample in samples],
            "queued_frames": [sample[3] for sample in samples],
        }
