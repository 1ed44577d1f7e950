# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one vocabulary: a module for each kind of device, found by its name.

``<kind>.py`` says what is on air, and lives on the board too: ``KIND``, and ``FIELDS`` of
``(name, key, scale, lowest, highest)``: the name carries its unit, the key is its place in the CBOR map, on air stands
``value * scale`` as an integer between the two limits; scale 0 is a truth value.
``<kind>_terms.py`` says what the open standards call each field, and stays on the host.
``<kind>_controls.py`` says what a device can be told; a kind without one knows what ``common_controls.py`` has.
What every device tells about itself is in ``common.py``.
"""

from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from typing import Protocol

    Field = tuple[str, int, int, int, int]
    Setting = tuple[str, int, object, object]  # name, key, shape, default

    class Kind(Protocol):
        """What each module of this folder holds."""

        KIND: str
        FIELDS: tuple[Field, ...]

    class Controls(Protocol):
        """What each ``<kind>_controls.py`` holds."""

        @property
        def SETTINGS(self) -> tuple[Setting, ...]: ...  # noqa: N802
        @property
        def COMMANDS(self) -> tuple[tuple[str, int, tuple[tuple[str, int, object], ...]], ...]: ...  # noqa: N802
        @property
        def COMPONENTS(self) -> tuple[tuple[str, int], ...]: ...  # noqa: N802


def load(kind: str) -> "Kind":
    """Return the module of *kind*. Raises Malformed when there is none."""
    path = "firmware.wire.kinds." + kind
    if not kind.replace("_", "a").isalpha() or kind == "common" or kind.endswith(("terms", "controls")):
        raise Malformed("kind %r is not a name" % kind)
    try:
        return __import__(path, None, None, ["KIND"])
    except ImportError:
        raise Malformed("kind %r is not known" % kind) from None


def all_fields(kind: "Kind") -> "tuple[Field, ...]":
    """Return the fields of *kind* and those that every device has."""
    from firmware.wire.kinds import common  # a board loads them only when it reports them

    return kind.FIELDS + common.FIELDS


def controls(kind: str) -> "tuple[Controls, ...]":
    """Return the modules that say what a device of *kind* can be told: the common one first."""
    from firmware.wire.kinds import common_controls

    try:
        own = __import__("firmware.wire.kinds." + kind + "_controls", None, None, ["SETTINGS"])
    except ImportError:
        return (common_controls,)
    return (common_controls, own)
