# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The journal's native protocol: each log entry with its fields (systemd.journal-fields(7)), to search by.

``journalctl -t lykta-gateway LYKTA_DEV_EUI=... -p warning`` finds what one device had to do with.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import uuid
from typing import IO

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "lykta-gateway"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
_NAMESPACE = uuid.UUID("5f1c0c9e-53a5-4b0f-9d4e-6c796b746131")
MESSAGE_EVENTS = frozenset({
    "ready", "stopped", "reloaded", "reload_refused", "stage_stuck", "outbox_damaged", "sessions_damaged",
    "outbox_full", "store_unavailable", "certificate_ended", "accepting_again", "broker_connected", "broker_absent",
    "device_gap", "clock_step",
})  # fmt: skip
"""Events that carry a MESSAGE_ID: what an operator may want to be told of, or to count."""


def message_id(event: str) -> str:
    """Return the MESSAGE_ID of an event: the same in every version, 32 hex digits."""
    return uuid.uuid5(_NAMESPACE, event).hex


def is_journal(stream: IO[str] | None = None) -> bool:
    """Tell whether stderr leads to the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    if not inode:
        return False
    try:
        found = os.fstat((stream or sys.stderr).fileno())
    except (OSError, ValueError):
        return False
    return (str(found.st_dev), str(found.st_ino)) == (device, inode)


class JournalHandler(logging.Handler):
    """Sends entries to the journal; what the socket does not take is lost, which is better than waiting for it."""

    def __init__(self, path: str = SOCKET) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry."""
        try:
            self._socket.sendto(encode(fields_of(record, self.format(record))), self._path)
        except (OSError, ValueError):
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Nobody is left to tell; the next entry tries again."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def fields_of(record: logging.LogRecord, message: str) -> dict[str, str]:
    """Return the journal's fields of a log record."""
    event = record.getMessage()
    found = {
        "MESSAGE": message,
        "PRIORITY": str(next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "LYKTA_EVENT": event,
        "LYKTA_AREA": record.name.rpartition("lykta.gateway.")[2],
    }
    if event in MESSAGE_EVENTS:
        found["MESSAGE_ID"] = message_id(event)
    for name, value in getattr(record, "fields", {}).items():
        found[f"LYKTA_{name.upper()}"] = value.hex() if isinstance(value, bytes) else str(value)
    return found


def encode(fields: dict[str, str]) -> bytes:
    """Return the datagram: NAME=value lines, or, where the value has line ends, its length before it."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)
