# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a value may be, written as data: one line in a table instead of a function per setting.

A shape is ``BOOL``; a pair of two integers, lowest and highest; ``("list", shape, most)``, up to so many of one shape;
or ``("row", shape, shape...)``, a fixed number of values, each with its own shape.
"""

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Any

BOOL = "bool"


def fits(shape: "Any", value: object) -> bool:
    """Tell whether *value*, as CBOR gives it, has this shape."""
    if shape == BOOL:
        return isinstance(value, bool)
    if isinstance(shape[0], int):
        return isinstance(value, int) and not isinstance(value, bool) and shape[0] <= value <= shape[1]
    if not isinstance(value, list):
        return False
    if shape[0] == "list":
        return len(value) <= shape[2] and all(fits(shape[1], each) for each in value)
    return len(value) == len(shape) - 1 and all(fits(shape[i + 1], value[i]) for i in range(len(value)))


def describe(shape: "Any") -> str:
    """Return the shape in words, for a person."""
    if shape == BOOL:
        return "true or false"
    if isinstance(shape[0], int):
        return "%d to %d" % shape
    if shape[0] == "list":
        return "up to %d of (%s)" % (shape[2], describe(shape[1]))
    return "[" + ", ".join(describe(each) for each in shape[1:]) + "]"
