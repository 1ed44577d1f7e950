# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of the wire: one root, and a type for each thing that a receiver treats differently."""


class WireError(ValueError):
    """Root of everything that can be wrong with bytes from the other side."""


class Malformed(WireError):
    """The bytes are not of the form that their specification gives."""


class NotAuthentic(WireError):
    """The form is right, but the message integrity code was not made with the key we hold."""


class Replayed(WireError):
    """Authentic, but its frame counter was used before."""


class CounterExhausted(WireError):
    """A 32-bit frame counter has reached its end; only a new join gives new keys and a new counter."""
