# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a program writes on a terminal of some width, without its colours."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shown(arguments: list[str], folder: Path, width: int) -> str:
    """Run Python in *folder* on a terminal of *width* columns; return all it wrote. It must end with 0."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "CI")}
    environment = {**kept, "TERM": "xterm", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = bytearray()
    with contextlib.suppress(OSError):  # EIO: the other end closed
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    code = process.wait(60)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())
    assert code == 0, text
    return text
