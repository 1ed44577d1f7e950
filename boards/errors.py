# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of the package; a message says what is wrong, the actual value, why it matters and what to do next."""


class BoardsError(Exception):
    """Root of all errors of this package."""


class SchemaError(BoardsError, ValueError):
    """A board file does not follow the schema."""


class BuildError(BoardsError, RuntimeError):
    """The firmware could not be compiled into a tree for a board."""


class SourceError(BoardsError, ValueError):
    """A module of the firmware says something that a build cannot make smaller and keep its meaning."""

    def __init__(self, module: str, line: int, why: str) -> None:
        """*module* by dotted name, *line* of its source from 1."""
        super().__init__(f"{module}, line {line}: {why}")
        self.module, self.line, self.why = module, line, why


class ImageError(BoardsError, ValueError):
    """A flash image is missing, of the wrong size, or holds no readable littlefs."""


class ImageBusyError(BoardsError, OSError):
    """Another board or tool has the flash image open."""


class PortError(BoardsError, OSError):
    """The serial port or the control socket cannot be made at the path asked for."""


class BoardStateError(BoardsError, RuntimeError):
    """The board cannot do this now, for example a reset while it has no power."""
