# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a release has room on a small littlefs is told before it is sent, and what is taken is also installed.

micropython tests/upy/update_room.py FOLDER      FOLDER as for update_flash.py; prints "ok" at the end
micropython tests/upy/update_room.py FOLDER BLOCKS BLOCK_BYTES      FOLDER is a slot, FOLDER.lyk the same as one file;
prints the blocks that are free beside the one and beside both, "full" when there is no room for the file
"""

import asyncio
import hashlib
import os
import sys

from firmware.node import update_desk as desk
from firmware.node import update_stage as stage
from firmware.node.store import Slots
from firmware.wire import cbor, update
from tests.upy.node_world import RamFlash, folders, mount

ROOT = "/flash"
FOLDER = sys.argv[1]
BLOCK_BYTES = 4096
NEAR_BLOCKS = 4  # a file that grows needs a block more, and the folder's own two
PIECE_BYTES = 700
MOST_BLOCKS = 128
SIZES = (1500, 900, 500, 400, 100)


def flash(blocks):
    """The same memory each time: there is no second piece of that size."""
    return RamFlash(content=memoryview(MEMORY)[: blocks * BLOCK_BYTES])


def read(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


def left(block_bytes=BLOCK_BYTES):
    """How many blocks a file can still have."""
    count = 0
    try:
        with open(ROOT + "/rest", "wb") as file:
            while True:
                file.write(bytes(block_bytes))
                file.flush()
                count += 1
    except OSError:
        pass
    os.remove(ROOT + "/rest")
    return count


def copy(source, target):
    os.mkdir(target)
    for name in sorted(os.listdir(source)):
        if os.stat(source + "/" + name)[0] & 0x4000:
            copy(source + "/" + name, target + "/" + name)
        else:
            with open(source + "/" + name, "rb") as file, open(target + "/" + name, "wb") as out:
                out.write(file.read())


def copies(blocks, block_bytes):
    mount(RamFlash(blocks, block_bytes), True, ROOT)
    copy(FOLDER, ROOT + "/a")
    print(left(block_bytes))
    try:
        with open(FOLDER + ".lyk", "rb") as file, open(ROOT + "/b.lyk", "wb") as out:
            out.write(file.read())
        print(left(block_bytes))
    except OSError:
        print("full")


def put(slot, parts):
    for n in range(parts):
        folders("%s/%s/part%d/x" % (ROOT, slot, n))
        for size in SIZES:
            with open("%s/%s/part%d/of_%d_bytes" % (ROOT, slot, n, size), "wb") as file:
                file.write(bytes(size))


def expect_what_is_left():
    for parts in (0, 3, 12):
        mount(flash(MOST_BLOCKS), True, ROOT)
        put("a", parts)
        free, alone = left(), stage.room(ROOT, "a") // BLOCK_BYTES
        assert free - NEAR_BLOCKS <= stage.room(ROOT, "") // BLOCK_BYTES <= free + NEAR_BLOCKS, (parts, free)
        with open(ROOT + "/b.lyk", "wb") as file:
            file.write(bytes(parts * sum(size + 30 for size in SIZES)))
        free, both = left(), stage.room(ROOT, "a") // BLOCK_BYTES
        assert free - NEAR_BLOCKS <= both <= free + NEAR_BLOCKS, (parts, free, both)
        assert both - NEAR_BLOCKS <= alone <= both + NEAR_BLOCKS, "the file was counted before it was there"
        os.remove(ROOT + "/b.lyk")
        put("b", parts)
        free, both = left(), stage.room(ROOT, "a") // BLOCK_BYTES
        assert free - NEAR_BLOCKS <= both <= free + NEAR_BLOCKS, (parts, free, both)
    there = os.statvfs(ROOT)
    assert not 0 <= there[3] <= free, "MicroPython's own count is below zero here: %d" % there[3]


async def breathe():
    pass


async def send(at):
    """Return the problem of the offer, and the phase after everything."""
    signed, bundle = read("offer"), read("bundle")
    session = hashlib.sha256(signed).digest()[:2]
    told = update.status((await at.take(update.offer(0, len(signed), signed)))[0])
    if told[update.S_PROBLEM]:
        return told[update.S_PROBLEM], told[update.S_PHASE]
    for have in range(0, len(bundle), PIECE_BYTES):
        await at.take(update.block(session, have, bundle[have : have + PIECE_BYTES]))
    told = update.status((await at.take(update.install(session)))[0])
    return update.NONE, told[update.S_PHASE]


def offered(blocks, second):
    """Return what becomes of a release on a flash of so many blocks, whose other slot is full or not there."""
    files = mount(flash(blocks), True, ROOT, "/data")
    for name in os.listdir(FOLDER):
        if name[:4] == "old.":
            path = name[4:].replace("!", "/")
            for slot in "ab" if second else "a":
                where = path if path[0] == "/" else "/%s/%s" % (slot, path)
                folders(ROOT + where)
                with open(ROOT + where, "wb") as file:
                    file.write(read(name))
    Slots(files, "vendor").write(cbor.dumps([read("vendor")]))
    return asyncio.run(send(desk.Desk(files, breathe, ROOT, "a")))


def expect_an_early_no():
    for second in (False, True):
        found = {}
        for blocks in range(20, 50, 2):
            try:
                found[blocks] = offered(blocks, second)
            except OSError:  # not even what runs fits
                continue
        refused = [blocks for blocks in found if found[blocks][0] == update.NO_ROOM]
        taken = [blocks for blocks in found if found[blocks] == (update.NONE, update.TRIAL)]
        assert refused and taken and max(refused) < min(taken), found
        assert len(refused) + len(taken) == len(found), found
        print(second, refused, taken)


if len(sys.argv) > 2:
    copies(int(sys.argv[2]), int(sys.argv[3]))
else:
    MEMORY = bytearray(MOST_BLOCKS * BLOCK_BYTES)
    expect_what_is_left()
    expect_an_early_no()
    print("ok")
