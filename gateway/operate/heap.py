# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How the C library's allocator keeps memory for a gateway: one heap for all threads, given back when it is empty.

glibc makes a heap for each thread that finds the others' in use, up to eight for each core. What the thread of the
databases and those beside it once took is kept in each, and free in none for another. Python's threads take turns
anyway: one heap does, and is 1 to 2 MB smaller. Other C libraries have no such heaps, and nothing happens.
"""

from __future__ import annotations

import ctypes
from functools import cache

_M_ARENA_MAX = -8
"""malloc.h of glibc; see mallopt(3)."""


@cache
def _library() -> ctypes.CDLL | None:
    """glibc, None where the C library is another one."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def keep_one() -> None:
    """Keep one heap from now on. Call it before there are threads."""
    library = _library()
    if library is not None:
        library.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return pages that hold nothing to the system: of bursts, of what was read at the start."""
    library = _library()
    if library is not None:
        library.malloc_trim(0)
