# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One heap of the C library for all threads, by glibc's own account of itself."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries keep their memory otherwise"
)

_PROGRAM = """
import ctypes, sys, threading
from gateway.operate import heap

if sys.argv[1] == "one":
    heap.keep_one()
library = ctypes.CDLL(None)
library.malloc.restype = library.fdopen.restype = ctypes.c_void_p
library.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
library.fclose.argtypes = [ctypes.c_void_p]
all_there = threading.Barrier(4)

def work():
    all_there.wait(30)
    library.malloc(100_000)
    all_there.wait(30)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
heap.give_back()
out = library.fdopen(1, b"w")
library.malloc_info(0, out)
library.fclose(out)
"""


def heaps(how: str) -> int:
    """How many heaps a program with four threads has in the end."""
    called = [sys.executable, "-c", _PROGRAM, how]
    return subprocess.run(called, capture_output=True, text=True, timeout=100, check=True).stdout.count("<heap nr=")


def test_all_threads_share_one_heap() -> None:
    assert heaps("one") == 1
    assert heaps("many") > 1, "else this shows nothing"
