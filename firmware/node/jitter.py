# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Randomness against collisions."""

import os


def jitter(ms: int) -> int:
    """Return a random time from half of *ms* to one and a half: a street of lamps must not speak all at once."""
    return ms // 2 + int.from_bytes(os.urandom(3), "little") * ms // 0xFFFFFF
