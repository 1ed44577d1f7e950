# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A block of 20 KB in fragments on littlefs under MicroPython, one in ten lost; what it takes of the heap.

micropython tests/upy/update_fragments.py SEED      prints figures, then "ok" or a traceback
"""

import gc
import sys
import time

from firmware.node.defragmenter import Defragmenter, remove
from firmware.wire import fragments
from tests.upy.node_world import RamFlash, Random, mount

SIZE = 100
COUNT = 200


def coded(block, number):
    """A coded fragment."""
    data = bytearray(SIZE)
    for at in fragments.parity_line(number, COUNT):
        fragments.xor(data, block[at * SIZE : (at + 1) * SIZE])
    return bytes(data)


def main():
    rng = Random(int(sys.argv[1]))
    block = bytes([rng.below(256) for _ in range(SIZE * COUNT)])
    files = mount(RamFlash())
    gc.collect()
    before = gc.mem_alloc()
    decoder = Defragmenter(files, COUNT, SIZE)
    sent = number = longest_us = 0
    while not decoder.complete:
        number += 1
        assert number < 2 * COUNT
        fragment = block[(number - 1) * SIZE : number * SIZE] if number <= COUNT else coded(block, number - COUNT)
        if rng.chance(10):
            continue
        sent += 1
        begun = time.ticks_us()
        decoder.take(number, fragment)
        longest_us = max(longest_us, time.ticks_diff(time.ticks_us(), begun))
    gc.collect()
    held = gc.mem_alloc() - before
    for at in range(0, len(block), 500):
        assert decoder.read(at, 500) == block[at : at + 500]
    print("%d of %d fragments, %d bytes of heap, the longest %d us" % (sent, number, held, longest_us))
    assert sent < COUNT + 10, "a few more than the block has, not many"
    assert held < 12000
    remove(files)
    print("ok")


main()
