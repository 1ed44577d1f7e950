# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one vocabulary: a module for each kind of device, found by its name.

``<kind>.py`` says what is on air, and lives on the board too: ``KIND``, and ``FIELDS`` of
``(name, key, scale, lowest, highest)``: the name carries its unit, the key is its place in the CBOR map, on air stands
``value * scale`` as an integer between the two limits; scale 0 is a truth value.
``<kind>_terms.py`` says what the open standards call each field, and stays on the host.
"""

from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Protocol

    Field = tuple[str, int, int, int, int]

    class Kind(Protocol):
        """What each module of this folder holds."""

        KIND: str
        FIELDS: tuple[Field, ...]


def load(kind: str) -> "Kind":
    """Return the module of *kind*. Raises Malformed when there is none."""
    path = "firmware.wire.kinds." + kind
    if not kind.replace("_", "a").isalpha() or kind == "common" or kind.endswith(("terms", "controls")):
        raise Malformed("kind %r is not a name" % kind)
    try:
        return __import__(path, None, None, ["KIND"])
    except ImportError:
        raise Malformed("kind %r is not known" % kind) from None
