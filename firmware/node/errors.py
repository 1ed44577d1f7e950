# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Errors of the node. One root; MicroPython cannot combine it with a second built-in parent."""


class NodeError(Exception):
    """Root of everything that the node itself refuses or gives up."""


class ConfigError(NodeError):
    """The identity on flash is missing, or a value in it cannot be used."""


class StoreCorrupt(NodeError):
    """Both copies of a record are damaged. Guessing its value could reuse a number, so nobody guesses."""


class NonceExhausted(NodeError):
    """All 65536 DevNonces are used (TS001 section 6.2.5). Only a new JoinEUI or a new AppKey helps."""


class JoinRefused(NodeError):
    """An authentic Join-Accept that must not be used: its JoinNonce was seen before."""


class NotJoined(NodeError):
    """A data frame, but there is no session."""


class LinkClosed(NodeError):
    """The link has no other side any more."""


class LeaveToRepl(NodeError):
    """A person at the console asked for the prompt."""
