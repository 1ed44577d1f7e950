# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board says to people. The build moves long texts out of the code into a file beside this module: they lie on
flash until one is needed (boards/texts.py)."""

from firmware.node.lazy import keep, opened

_PATH = __file__.rsplit(".", 1)[0]


class Lost:
    """Stands for a text that cannot be read now: says where it is, and takes what should have been put into it."""

    def __init__(self, at: int) -> None:
        self._at = at

    def __mod__(self, values) -> str:
        return "text %d: %r" % (self._at, values)

    def __add__(self, other) -> str:
        return "text %d: %s" % (self._at, other)

    def __str__(self) -> str:
        return "text %d" % self._at


def text(at: int):
    """Return the text that begins at this byte of the file."""
    try:
        return _read(at)
    except (OSError, MemoryError):  # whoever has something to say has trouble enough
        return Lost(at)
    finally:
        keep()


def _read(at: int) -> str:
    with opened(_PATH, "rb") as file:
        file.seek(at, 1)  # from where the texts begin: a slot that is one file has others before them
        return file.readline()[:-1].decode()
