# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a file system takes writes while this process sees it through a mount that does not.

systemd gives a service mounts of its own, copied when it starts. ``mount -o remount,rw`` outside makes the file system
writable, and the mount outside. A copy that was made read-only stays so as long as the service lives: only root could
change it. /proc/self/mountinfo tells the two apart: proc_pid_mountinfo(5), fields 5 and 6, and the last.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_POINT, _OPTIONS = 4, 5
_OCTAL = re.compile(rb"\\([0-7]{3})")


def copied_read_only(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Tell whether the mount of *folder* is read-only here, and its file system is not. False where nobody can tell."""
    wanted = Path(os.path.realpath(folder))
    found: tuple[int, bool] = -1, False
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return False
    for line in lines:
        mine, _, filesystem = line.partition(b" - ")
        fields, last = mine.split(), filesystem.split()
        if len(fields) <= _OPTIONS or not last:
            continue
        point = Path(os.fsdecode(_OCTAL.sub(lambda match: bytes((int(match[1], 8),)), fields[_POINT])))
        depth = len(point.parts)
        if wanted.is_relative_to(point) and depth >= found[0]:  # the last of several at one point covers the others
            found = depth, _read_only(fields[_OPTIONS]) and not _read_only(last[-1])
    return found[1]


def _read_only(options: bytes) -> bool:
    return b"ro" in options.split(b",")
