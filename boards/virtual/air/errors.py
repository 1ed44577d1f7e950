# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the air; roots in boards.errors."""

from boards.errors import BoardsError


class AirError(BoardsError):
    """Something about the simulated air: root of the errors below."""


class MalformedMessage(AirError, ValueError):
    """A line on the air's socket is not one of its messages."""


class BadRadioSetting(AirError, ValueError):
    """A radio was asked for a setting that LoRa, or this simulation of it, does not have."""


class UnknownRadio(AirError, LookupError):
    """No radio of that id is in the air now."""


class RadioInUse(AirError, ValueError):
    """A radio of that id is in the air already."""


class StillSending(AirError, RuntimeError):
    """A radio was asked to send while it still sends: it has one transmit chain."""


class SocketTaken(AirError, OSError):
    """The socket's path cannot be used."""
