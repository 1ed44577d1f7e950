# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A board's raw REPL: how the bench gets in, runs code and hears what became of it.

The protocol is MicroPython's documented one (reference, "The MicroPython Interactive Interpreter Mode", raw mode and
raw-paste mode). Raw-paste has flow control: the board says how many bytes it takes, and asks for more.
"""

from __future__ import annotations

import json
import secrets
import struct
import time
from typing import Any, Final

from provisioning.bench.errors import BoardRaised, BoardSilent, NoPrompt
from provisioning.bench.line import Line
from provisioning.bench.symptoms import explain

RAW: Final = b"raw REPL; CTRL-B to exit\r\n>"
EXEC_TIMEOUT_S: Final = 10.0
ENTER_TIMEOUT_S: Final = 15.0
_PATIENCE_S: Final = (0.6, 1.5, 3.0, 5.0, 8.0)
_BREAK: Final = b"\r\x03\x03"
_RAW_MODE: Final = b"\r\x01"
_FRIENDLY_MODE: Final = b"\r\x02"
_SOFT_RESET: Final = b"\x04"
_END: Final = b"\x04"
_PASTE: Final = b"\x05A\x01"
_PASTE_OK: Final = b"R\x01"
_PASTE_UNSUPPORTED: Final = b"R\x00"
_MORE: Final = 0x01
_ABORTED: Final = 0x04
_BANNER: Final = b'Type "help()" for more'
"""The board was reset: what was running has ended."""
_ANSWER_S: Final = 4.0
_PLAIN_CHUNK_BYTES: Final = 256
_PLAIN_PAUSE_S: Final = 0.01


class RawRepl:
    """The raw REPL of the board on an open line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.pastes = True
        """The board knows raw-paste mode; older MicroPython does not."""
        self.greeting = b""
        """What the board said before it gave its prompt."""

    def enter(self, timeout_s: float = ENTER_TIMEOUT_S) -> None:
        """Stop what runs and get the raw prompt, whatever state the board is in. Raises NoPrompt, CableLost."""
        deadline = time.monotonic() + timeout_s
        seen = bytearray()
        for patience_s in _PATIENCE_S:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            # A break, then the mode: what a busy program swallows of the one is tried again with more patience.
            self.line.write(_BREAK)
            seen += self.line.read(0.05)
            self.line.write(_RAW_MODE)
            answer, came = self.line.read_until(RAW, min(patience_s, left_s))
            seen += answer
            if came and self._in_step():
                self.greeting = bytes(seen)
                return
        state, reason, next_step = explain(bytes(seen))
        raise NoPrompt(state, bytes(seen), reason=reason, next_step=next_step)

    def _in_step(self) -> bool:
        """Prompts of earlier attempts may still be on their way: an answer that only now makes sense ends that."""
        self.line.drain()
        token = secrets.token_hex(4)
        try:
            return self.run(f"print('{token[:4]}'+'{token[4:]}')", 3.0).strip() == token.encode()
        except (BoardSilent, BoardRaised):
            return False

    def run(self, code: str | bytes, timeout_s: float = EXEC_TIMEOUT_S) -> bytes:
        """Run code on the board; return what it printed. Raises BoardRaised, BoardSilent, CableLost.

        *timeout_s*: how long it may be silent.
        """
        code = code.encode() if isinstance(code, str) else code
        self._send(code)
        printed = self._part(timeout_s, code)
        error = self._part(_ANSWER_S, code)
        prompt = self.line.read_exactly(1, _ANSWER_S)
        if prompt != b">":
            raise _silent(prompt, "its prompt")
        if error:
            raise BoardRaised(error.decode("utf-8", "replace"))
        return printed

    def ask(self, code: str, timeout_s: float = EXEC_TIMEOUT_S) -> Any:
        """Run code that prints one line of JSON last; return its value."""
        printed = self.run(code, timeout_s)
        try:
            return json.loads(printed.splitlines()[-1])
        except (IndexError, ValueError) as error:
            raise BoardSilent(
                "The board answered something else than was asked.",
                value=repr(printed[-80:]),
                reason="Another program prints at the same time, or bytes were lost on the line.",
                next_step="try again; a shorter cable or another hub helps where bytes are lost",
            ) from error

    def soft_reset_and_leave(self) -> None:
        """Start what is installed: leave the raw mode and reset the interpreter. Nothing waits for an answer."""
        self.line.write(_FRIENDLY_MODE)
        self.line.read_until(b">>> ", 2.0)
        self.line.write(_SOFT_RESET)

    def reset(self) -> None:
        """Reset the whole chip."""
        self._send(b"import machine\nmachine.reset()")

    def _part(self, timeout_s: float, code: bytes) -> bytes:
        data, came = self.line.read_until(_END, timeout_s, _BANNER, silence=True)
        if not came:
            raise _silent(data, f"an end after {code.strip().splitlines()[0][:60].decode('ascii', 'replace')!r}")
        return data[:-1]

    def _send(self, code: bytes) -> None:
        if self.pastes:
            self.line.write(_PASTE)
            answer = self.line.read_exactly(2, _ANSWER_S)
            if answer == _PASTE_OK:
                self._paste(code)
                return
            self.pastes = False
            if answer != _PASTE_UNSUPPORTED:  # 'ra': an old board prints its greeting anew
                self.line.read_until(RAW, _ANSWER_S)
        for start in range(0, len(code), _PLAIN_CHUNK_BYTES):
            self.line.write(code[start : start + _PLAIN_CHUNK_BYTES])
            time.sleep(_PLAIN_PAUSE_S)  # the mode has no flow control
        self.line.write(_END)
        answer = self.line.read_exactly(2, _ANSWER_S)
        if answer != b"OK":
            raise _silent(answer, "OK")

    def _paste(self, code: bytes) -> None:
        header = self.line.read_exactly(2, _ANSWER_S)
        if len(header) != 2:
            raise _silent(header, "the size of its window")
        (window,) = struct.unpack("<H", header)
        room, at = window, 0
        while at < len(code):
            for byte in self.line.read(0 if room else _ANSWER_S):
                if byte == _MORE:
                    room += window
                elif byte == _ABORTED:  # it has no memory for more, or a person pressed Ctrl-C
                    self.line.write(_END)
                    return
                else:
                    raise _silent(bytes([byte]), "room for more code")
            if room == 0:
                raise _silent(b"", "room for more code")
            piece = code[at : at + room]
            self.line.write(piece)
            at += len(piece)
            room -= len(piece)
        self.line.write(_END)
        rest, came = self.line.read_until(_END, _ANSWER_S)
        if not came:
            raise _silent(rest, "the end of the paste")


def _silent(seen: bytes, expected: str) -> BoardSilent:
    state, reason, next_step = explain(seen)
    known = state if b"rst:" in seen or b"reboot" in seen else f"The board did not send {expected}."
    return BoardSilent(known, value=repr(seen[-80:]) if seen else None, reason=reason, next_step=next_step)
