# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one event a line on stderr, as JSON or as text, or entries of the journal with their fields.

Secrets are never passed to a log call; a field whose name says that it might be one is not shown all the same.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.operate import journal

Format = Literal["auto", "json", "text", "journal"]
_ROOT = "lykta.gateway"
_SECRET_NAME = re.compile(
    r"(^|_)(app_?key|nwk_?skey|app_?skey|kek|secret|passw(or)?d|token|private_key)$", re.IGNORECASE
)
_HIDDEN = "(not shown)"
MAX_ENTRIES = 400
"""Log entries of one urgency that pass in ``WINDOW_S``; whatever makes more of them is one story, not many."""
WINDOW_S = 10.0


class EventLog:
    """Logs of one area. An event is a short name in snake case; what varies goes into fields."""

    def __init__(self, area: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{area}")

    @property
    def debugging(self) -> bool:
        """Whether ``debug`` says anything: for whoever would gather much for nothing."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, event: str, **fields: object) -> None:
        """For whoever looks for an error."""
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: object) -> None:
        """A change of state that is normal."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        """Something that mends itself or that someone sent us."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, **fields: object) -> None:
        """Something that needs a person."""
        self._logger.error(event, extra={"fields": fields})

    def exception(self, event: str, **fields: object) -> None:
        """An error that nobody foresaw, with its traceback."""
        self._logger.exception(event, extra={"fields": fields})


class Seldom:
    """Lets one event per key and interval through, and says how many it held back.

    At most *burst* in all: whoever makes up a new identity for each frame fills neither the log nor the memory.
    """

    def __init__(self, interval_s: float = 10.0, burst: int = 50) -> None:
        self._interval_s = interval_s
        self._burst = burst
        self._began_s = float("-inf")
        self._passed = 0
        self._seen: dict[object, tuple[float, int]] = {}

    def allow(self, key: object) -> int | None:
        """Return how many were held back since the last one that passed, or None to hold this one back."""
        now_s = time.monotonic()
        last_s, held_back = self._seen.get(key, (float("-inf"), 0))
        if now_s - last_s < self._interval_s:
            self._seen[key] = (last_s, held_back + 1)
            return None
        if now_s - self._began_s >= self._interval_s:
            self._began_s, self._passed = now_s, 0
            self._seen = {seen: entry for seen, entry in self._seen.items() if now_s - entry[0] < 60 * self._interval_s}
        if self._passed >= self._burst:
            return None
        self._passed += 1
        self._seen[key] = (now_s, 0)
        return held_back


class Throttle(logging.Filter):
    """The last dam: so many entries a window, warnings and worse counted apart from chatter; says what it held back."""

    def __init__(self, entries: int = MAX_ENTRIES, window_s: float = WINDOW_S) -> None:
        super().__init__()
        self._entries = entries
        self._window_s = window_s
        self._windows: dict[bool, tuple[float, int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Let an entry pass or not."""
        urgent, now_s = record.levelno >= logging.WARNING, time.monotonic()
        began_s, passed, held_back = self._windows.get(urgent, (now_s, 0, 0))
        if now_s - began_s >= self._window_s:
            began_s, passed = now_s, 0
        if passed >= self._entries:
            self._windows[urgent] = (began_s, passed, held_back + 1)
            return False
        if held_back:
            record.fields = {**getattr(record, "fields", {}), "entries_held_back": held_back}
        self._windows[urgent] = (began_s, passed + 1, 0)
        return True


class _Redact(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        fields: dict[str, Any] = getattr(record, "fields", {})
        if any(_SECRET_NAME.search(name) for name in fields):
            record.fields = {name: _HIDDEN if _SECRET_NAME.search(name) else value for name, value in fields.items()}
        return True


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "area": record.name.removeprefix(_ROOT + "."),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=_plain, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        line = f"{when} {record.levelname.lower():7} {self.sentence(record)}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    def sentence(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_text(value)}" for name, value in getattr(record, "fields", {}).items())
        return f"{record.name.removeprefix(_ROOT + '.')}: {record.getMessage()}{fields}"


class _JournalFormatter(_TextFormatter):
    """The journal has time and priority in fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line = self.sentence(record)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _text(value: object) -> str:
    if not isinstance(value, str | int | float | list | tuple | dict | None):
        value = _plain(value)
    text = value if isinstance(value, str) else json.dumps(value, default=_plain, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text else text


def set_up(log_format: Format, level: str = "info") -> None:
    """Send the logs of the gateway where they belong. Called once, by the command line.

    ``auto`` is the journal when stderr leads there, text when it is a terminal, else JSON.
    """
    if log_format == "auto":
        log_format = "journal" if journal.is_journal() else "text" if sys.stderr.isatty() else "json"
    handler: logging.Handler
    if log_format == "journal":
        handler = journal.JournalHandler()
        handler.setFormatter(_JournalFormatter())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    handler.addFilter(Throttle())
    handler.addFilter(_Redact())
    logger = logging.getLogger(_ROOT)
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())
