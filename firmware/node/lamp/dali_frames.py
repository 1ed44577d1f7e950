# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""DALI frames as edges on the bus, and back: IEC 62386-101, Manchester code at 1200 bit/s. Pure.

Half a bit takes 416.67 us. A one rises in its middle, a zero falls; a frame begins with a one and ends when the bus
has rested high. A receiver takes half bits of 333 to 500 us and whole ones of 667 to 1000 us (62386-101:2022 table 18).
"""

HALF_BIT_NS = 416667
_HALF_US = (333, 500)
_WHOLE_US = (667, 1000)
BACKWARD_BITS = 8
FORWARD_BITS = 16


def half_bits(value: int, bits: int) -> list:
    """Return the levels of a frame's halves of bits, 0 low, 1 high: the start bit, then *value*, highest bit first."""
    levels = [0, 1]
    for place in range(bits - 1, -1, -1):
        levels += [0, 1] if value >> place & 1 else [1, 0]
    return levels


def edges_us(value: int, bits: int) -> list:
    """Return the moments, in microseconds after the first falling edge, at which the bus changes its level."""
    levels = half_bits(value, bits) + [1]  # the bus rests high
    found = []
    for i in range(1, len(levels)):
        if levels[i] != levels[i - 1]:
            found.append((i * HALF_BIT_NS + 500) // 1000)
    return found


def decode(edges: list, bits: int = BACKWARD_BITS):
    """Return the value of a frame whose level changed at these microseconds, the falling edge at its start first.

    None for what is no frame of so many bits: broken timing, a collision, too few or too many edges.
    """
    levels = []
    level = 0
    for i in range(1, len(edges)):
        span = edges[i] - edges[i - 1]
        if _HALF_US[0] <= span <= _HALF_US[1]:
            levels.append(level)
        elif _WHOLE_US[0] <= span <= _WHOLE_US[1]:
            levels += [level, level]
        else:
            return None
        level ^= 1
    if len(levels) == 2 * bits + 1:  # a last half that is high ends without an edge
        levels.append(1)
    if len(levels) != 2 * bits + 2 or levels[:2] != [0, 1]:
        return None
    value = 0
    for i in range(2, len(levels), 2):
        if levels[i] == levels[i + 1]:
            return None
        value = value << 1 | levels[i + 1]
    return value


def arc_level(pct: float) -> int:
    """Return the level of direct arc power, 0 to 254, that gives so much light: the logarithmic curve of 62386-102."""
    if pct <= 0:
        return 0
    import math

    return min(254, max(1, int(254 + 253 / 3 * math.log(min(pct, 100) / 100) / 2.302585093 + 0.5)))


def fade_code(fade_ms: int) -> int:
    """Return the fade time 0 to 15 whose 0.5 * sqrt(2 ** code) seconds come closest (62386-102, table 6)."""
    best = 0
    for code in range(1, 16):
        time_ms = 500 * 2 ** (code / 2)
        if abs(time_ms - fade_ms) < abs((500 * 2 ** (best / 2) if best else 0) - fade_ms):
            best = code
    return best
