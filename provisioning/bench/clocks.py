# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether this computer's clock is right: what the kernel says of it, and what a time server says."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from datetime import UTC, datetime
from typing import Final

from provisioning.bench.finding import Finding

NEVER_SET_S: Final = 1767225600
"""2026-01-01: a clock before this was never set."""
ALLOWED_S: Final = 5.0
_NTP_PORT: Final = 123
_NTP: Final = struct.Struct(">BBbb11I")
"""RFC 5905 section 7.3: 48 bytes; the last two words are the server's transmit time."""
_CLIENT: Final = 0x23  # version 4, mode 3
_SERVER_MODE: Final = 4
_SINCE_1900_S: Final = 2_208_988_800
_PATIENCE_S: Final = 4.0
_TIMEX_BYTES: Final = 256  # struct timex is 208; the kernel fills what is its own
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised


def examine(server: str | None = None, not_before_s: float = 0.0) -> list[Finding]:
    """Judge the clock. *not_before_s*: the Unix time that it must have passed; *server*: HOST or HOST:PORT to ask."""
    now_s = time.time()
    shown = _shown(now_s)
    mend = "timedatectl set-ntp true; timedatectl timesync-status shows whether it works"
    if now_s < NEVER_SET_S:
        text = "The clock was never set."
        return [Finding("clock_unset", "fault", text, "Every reading would carry a wrong time.", mend, shown)]
    if now_s < not_before_s:
        text = "The clock is behind: the gateway's certificate is not valid yet."
        why = "Readings carry a wrong time, and brokers' certificates seem not to be valid yet either."
        return [Finding("clock_behind", "fault", text, why, mend, f"{shown}, certificate from {_shown(not_before_s)}")]
    if server is not None:
        return [_measured(server, mend)]
    if _synchronised() is False:
        text = "Nobody sets this computer's clock."
        why = "By the kernel it follows no time server: it drifts by seconds a week, and is wrong after a cold start."
        return [
            Finding(
                "clock_unsynchronised", "warning", text, why, f"{mend}; lykta doctor --time-server HOST measures", shown
            )
        ]
    return [Finding("clock", "ok", f"the clock is set ({shown})")]


def offset_s(server: str) -> float:
    """How far this clock is ahead of a time server's, s (RFC 5905 section 8). Raises OSError, ValueError."""
    host, _, port = server.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(_PATIENCE_S)
        line.connect((host, int(port or _NTP_PORT)))
        sent_s = time.time()
        token = os.urandom(8)
        line.send(_NTP.pack(_CLIENT, 0, 0, 0, *[0] * 9, *struct.unpack(">2I", token)))
        answer = line.recv(512)
        came_s = time.time()
    if len(answer) < _NTP.size or answer[0] & 7 != _SERVER_MODE or answer[24:32] != token:
        raise ValueError(f"{server} does not answer as a time server")
    words = _NTP.unpack_from(answer)
    if words[1] == 0:
        raise ValueError(f"{server} says that it does not know the time itself")
    taken_s, given_s = (_unix(*words[at : at + 2]) for at in (11, 13))
    return ((sent_s - taken_s) + (came_s - given_s)) / 2


def _measured(server: str, mend: str) -> Finding:
    try:
        ahead_s = offset_s(server)
    except (OSError, ValueError) as error:
        text = "The time server does not answer."
        why = "Without one the clock drifts; UDP port 123 may be closed on the way."
        return Finding(
            "time_server", "warning", text, why, "name another: lykta doctor --time-server HOST", f"{server}: {error}"
        )
    if abs(ahead_s) <= ALLOWED_S:
        return Finding("clock", "ok", f"the clock is within {ALLOWED_S:g} s of {server} ({ahead_s:+.2f} s)")
    side = "ahead" if ahead_s > 0 else "behind"
    text = f"The clock is wrong: {abs(ahead_s):.0f} s {side}."
    why = "Readings carry a wrong time; commands seem expired, and certificates not valid."
    return Finding("clock_wrong", "fault", text, why, mend, f"{_shown(time.time())} here, asked {server}")


def _synchronised() -> bool | None:
    """What the kernel knows (adjtimex(2), which only reads here); None where it cannot be asked."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _unix(seconds: int, fraction: int) -> float:
    return seconds - _SINCE_1900_S + fraction / (1 << 32)


def _shown(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
