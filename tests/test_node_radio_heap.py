# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The whole node with LoRa in less memory than a board has; benchmarks/bench_heap.py prints the figures."""

from pathlib import Path

import pytest

from boards.schema import load_board, names
from tests.heap_probe import radio_heap

HEAP_BYTES = 232 * 1024  # 24 KB less than a virtual board has
USED_BYTES = 216 * 1024


@pytest.mark.apart
def test_a_street_light_with_lora_leaves_room_in_its_heap(tmp_path: Path) -> None:
    used = radio_heap(tmp_path / "board", HEAP_BYTES)
    print(used)
    assert used < USED_BYTES


def test_the_virtual_boards_have_the_heap_that_the_firmware_is_held_to() -> None:
    heaps = {name: load_board(name).board.heap_bytes for name in names() if name.startswith("virtual")}
    bluetooth = heaps.pop("virtual_ble")  # the bluetooth module, which a port has in C, is simulated in the same heap
    assert set(heaps.values()) == {256 * 1024}
    assert bluetooth == 272 * 1024
