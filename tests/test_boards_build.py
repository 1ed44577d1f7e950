# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is compiled for a board is the same whoever makes it, and however many at once."""

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from boards.build import FIRMWARE, smaller_sources
from boards.shrink import _shrunk

SOURCES = {f"firmware.wire.{path.stem}": path for path in sorted((FIRMWARE / "wire").glob("[a-z]*.py"))}
THREADS = 6


@pytest.fixture
def restless() -> Iterator[None]:
    """The garbage collector lets another thread run in the middle of what this one does."""

    def give_way(_phase: str, _info: dict[str, int]) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(200)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(give_way)


def _made(_number: int) -> tuple[dict[str, str], bytes]:
    _shrunk.cache_clear()
    return smaller_sources(SOURCES)


@pytest.mark.usefixtures("restless")
def test_boards_can_be_built_at_the_same_time() -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        first, *others = pool.map(_made, range(THREADS))
    assert "firmware.wire.frame" in first[0]
    assert others == [first] * (THREADS - 1)
