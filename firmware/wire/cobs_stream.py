# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""COBS frames in a stream of bytes, as a serial line gives it."""

from firmware.wire.cobs import decode
from firmware.wire.errors import Malformed

_DELIMITER = b"\x00"


class Deframer:
    """Finds frames in a stream of bytes; memory is bounded by *max_len* encoded bytes.

    What is too long or does not decode (noise, a boot banner, half a frame) is counted in ``dropped`` and forgotten.
    """

    def __init__(self, max_len: int = 256) -> None:
        self.dropped = 0
        self._max_len = max_len + max_len // 254 + 1
        self._buffer = bytearray()
        self._overrun = False

    def feed(self, data: bytes) -> "list[bytes]":
        """Take what the line gave; return the frames it completed, oldest first."""
        frames: "list[bytes]" = []
        start = 0
        while True:
            end = data.find(_DELIMITER, start)
            self._take(data[start:] if end < 0 else data[start:end])
            if end < 0:
                return frames
            done = self._finish()
            if done is not None:
                frames.append(done)
            start = end + 1

    def pending(self) -> bytes:
        """Return the bytes since the last delimiter: how a console notices that a person is typing."""
        return bytes(self._buffer)

    def _take(self, part: bytes) -> None:
        if self._overrun or len(self._buffer) + len(part) > self._max_len:
            self._overrun = True
            self._buffer = bytearray()
        else:
            self._buffer.extend(part)

    def _finish(self) -> "bytes | None":
        encoded, overrun = bytes(self._buffer), self._overrun
        self._buffer = bytearray()
        self._overrun = False
        if not overrun:
            if not encoded:  # two delimiters in a row: the normal space between frames
                return None
            try:
                return decode(encoded)
            except Malformed:
                pass
        self.dropped += 1
        return None
