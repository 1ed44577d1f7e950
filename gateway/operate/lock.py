# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One daemon per state directory."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gateway.errors import AlreadyRunning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "gateway.lock"


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the directory for this process; the kernel lets go when the process ends, however it ends.

    Raises AlreadyRunning.
    """
    descriptor = _open(state_dir)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(
                f"Another gateway runs on {state_dir} (process {_holder(state_dir)}). Two would number the same "
                f"records twice. Stop that one first, or give this one a state_dir of its own."
            ) from error
        with suppress(OSError):  # a disk that takes nothing: the lock holds without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(state_dir: Path) -> int:
    """Open what is locked: the file; to read where its disk is read-only, and the folder itself where there is none."""
    path = state_dir / FILE_NAME
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
    return os.open(path if path.exists() else state_dir, os.O_RDONLY | os.O_CLOEXEC)


def _holder(state_dir: Path) -> str:
    try:
        return (state_dir / FILE_NAME).read_text(encoding="ascii", errors="replace")[:20].strip() or "unknown"
    except OSError:
        return "unknown"
