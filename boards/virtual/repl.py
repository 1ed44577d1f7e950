# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Makes the unix port's console look like a board's: line ends, and a soft reset that stays in the raw REPL."""

RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n"
FRIENDLY_BANNER = b'Type "help()" for more information.'


class ReplTracker:
    """Follows one life of the interpreter through what it prints."""

    def __init__(self, raw: bool = False) -> None:
        self.raw = raw
        """The raw REPL is on; after a soft reset: come back in it, without main.py."""
        self.binary = False
        """The firmware uses the console for its own protocol: no byte may be touched."""
        self._in_repl = False
        self._skipping = False
        self._tail = b""
        self._after_cr = False

    def begin(self) -> bool:
        """The REPL starts; True if it has to be put into raw mode, its greeting is then left out."""
        self._in_repl = True
        self._skipping = self.raw
        return self.raw

    def output(self, data: bytes) -> bytes:
        """What the client gets for what the interpreter wrote."""
        if self.binary:
            self._tail = b""
            return data
        if self._in_repl:
            data = self._follow(data)
        return self._line_ends(data)

    def _follow(self, data: bytes) -> bytes:
        seen = self._tail + data
        self._tail = seen[-64:]
        if self._skipping:
            start = seen.find(RAW_BANNER)
            if start < 0:
                return b""
            self._skipping = False
            data = seen[start:]
        raw, friendly = seen.rfind(RAW_BANNER), seen.rfind(FRIENDLY_BANNER)
        if max(raw, friendly) >= 0:
            self.raw = raw > friendly
        return data

    def _line_ends(self, data: bytes) -> bytes:
        # Boards send \r\n for \n; the port left that to the terminal. Its own texts have \r\n already.
        if not data:
            return data
        first = 1 if self._after_cr and data[:1] == b"\n" else 0
        self._after_cr = data[-1:] == b"\r"
        return data[:first] + data[first:].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
