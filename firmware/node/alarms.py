# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings that cannot wait: sent at once in confirmed frames of their own, again and again until they are held.

An alarm is a reading like any other and lies in the same queue: a power cut costs it its hurry, never its content. No
I/O: moments come in as milliseconds.
"""

from firmware.wire import readings

_OLDEST_BYTES = 5
_BACKOFF_MAX_MS = 300000
_REMEMBERED = 8  # more are sent as ordinary readings, which are asked for anyhow


class Alarms:
    """*queue*, *encode*, *jitter* as for ``Delivery``; *timeout_ms*: how long an acknowledgement may take.

    ``sent``: the numbers in the last frame.
    """

    def __init__(self, queue, encode, timeout_ms: int, jitter) -> None:
        self._queue = queue
        self._encode = encode
        self._timeout_ms = timeout_ms
        self._jitter = jitter
        self._waiting = []  # type: list[int]  # sequence numbers
        self.sent = []  # type: list[int]
        self._tries = 0
        self._due_ms = 0

    def add(self, seq: int) -> None:
        """The reading of this number is an alarm: due at once, whatever was tried before."""
        if len(self._waiting) < _REMEMBERED:
            self._waiting.append(seq)
        self._tries = self._due_ms = 0

    def next_frame(self, now_ms: int, max_payload: int) -> bytes | None:
        """Return the payload to send on the port of alarms now, or None. Counts it as sent."""
        if not self._held() or now_ms < self._due_ms:
            return None
        items = []
        room = max_payload - _OLDEST_BYTES
        self.sent = []
        for seq in self._waiting:
            for record in self._queue.read(seq, seq + 1):
                item = self._encode(record)
                if len(item) <= room or not items:
                    items.append(item)
                    self.sent.append(seq)
                    room -= len(item)
        backoff = min(_BACKOFF_MAX_MS, self._timeout_ms << min(self._tries, 16))
        self._due_ms = now_ms + self._timeout_ms + self._jitter(backoff)
        self._tries += 1
        return readings.pack(items, self._queue.oldest) if items else None

    def wait_ms(self, now_ms: int) -> int | None:
        """Return after how long ``next_frame`` has something; None when nothing waits."""
        return max(0, self._due_ms - now_ms) if self._held() else None

    def acknowledged(self) -> None:
        """The network has acknowledged the last frame, which it does when its readings are on disk."""
        self._waiting = [seq for seq in self._waiting if seq not in self.sent]
        self._tries = self._due_ms = 0

    def hurry(self) -> None:
        """A new session: what was sent in the old one may be lost."""
        self._tries = self._due_ms = 0

    def renumbered(self) -> None:
        """The queue's readings have new numbers; they go out as ordinary ones, from the oldest on."""
        self._waiting = []

    def _held(self) -> bool:
        """Forget what was receipted meanwhile; return whether anything is left."""
        self._waiting = [seq for seq in self._waiting if self._queue.first_held(seq, seq + 1) == seq]
        return bool(self._waiting)
