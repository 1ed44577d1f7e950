# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The whole node with LoRa in less memory than a board has; benchmarks/bench_heap.py prints the figures."""

from pathlib import Path

import pytest

from boards.schema import load_board, names
from boards.virtual import stepped
from tests.heap_probe import radio_heap

pytestmark = pytest.mark.timeout(600)
HEAP_BYTES = 256 * 1024
USED_BYTES = {"street_light": 202 * 1024, "traffic": 202 * 1024, "waste_bin": 214 * 1024}  # of 64-bit objects


@pytest.mark.apart
@pytest.mark.parametrize("kind", ["street_light", "traffic", pytest.param("waste_bin", marks=pytest.mark.slow)])
def test_a_node_with_lora_leaves_room_in_its_heap(tmp_path: Path, kind: str) -> None:
    """What is alive in a session, with what waits for stepped time, for which the board has 1.5 KB more."""
    used = radio_heap(tmp_path / "board", HEAP_BYTES, kind=kind)
    print(kind, used)
    assert used < USED_BYTES[kind] + stepped.HEAP_BYTES


@pytest.mark.slow
@pytest.mark.apart
def test_a_street_light_with_lora_works_in_24_kb_less(tmp_path: Path) -> None:
    radio_heap(tmp_path / "board", HEAP_BYTES - 24 * 1024)


def test_the_virtual_boards_have_the_heap_that_the_firmware_is_held_to() -> None:
    heaps = {name: load_board(name).board.heap_bytes for name in names() if name.startswith("virtual")}
    assert set(heaps.values()) == {256 * 1024}
