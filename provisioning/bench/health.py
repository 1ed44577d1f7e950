# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a node that was just started works: it says so itself, by the line about its first reading."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Final

from provisioning.bench.errors import BenchError
from provisioning.bench.line import Line
from provisioning.bench.symptoms import find

_REST_S: Final = 0.5
_REST_LIMIT_S: Final = 3.0
_WELL: Final = re.compile(rb"node: \d+ readings wait; heap: \d+ bytes used, \d+ free")
_ILL: Final = re.compile(rb"Traceback|MemoryError|start: (?:unknown fault|this board does not work)|BUSY")


def watch(line: Line, seconds: float) -> str | None:
    """Listen until a node is known to be well or ill. None: it is well; else why not, with its last words.

    A port that goes away with the reset is waited for.
    """
    deadline = time.monotonic() + seconds
    said = bytearray()
    while time.monotonic() < deadline and not _ILL.search(said) and not _WELL.search(said):
        try:
            said += line.read(0.2)
        except BenchError:
            line.close()
            line.open(max(1.0, deadline - time.monotonic()))
    if _WELL.search(said) and not _ILL.search(said):
        return None
    with contextlib.suppress(BenchError):  # the name of an exception comes after the word Traceback
        said += line.drain(_REST_S, _REST_LIMIT_S)
    symptoms = [each for each in find(bytes(said)) if each.name != "swallowed_break"]
    why = symptoms[0].state if symptoms else "It ends in a fault." if _ILL.search(said) else "It made no reading."
    text = bytes(byte for byte in said if 9 <= byte < 127).decode()[-300:].strip()
    return f"{why} Last words: {text!r}"
