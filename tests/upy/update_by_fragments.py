# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The board's desk under MicroPython, on littlefs: an update in fragments, some lost, power cuts at flash operations.

micropython tests/upy/update_by_fragments.py FOLDER SEED      FOLDER as for update_flash.py; prints "ok" at the end
"""

import asyncio
import gc
import os
import sys

from firmware.node import update_desk as desk
from firmware.node import update_stage as stage
from firmware.node.store import Slots
from firmware.wire import cbor, fragments, update
from tests.upy.node_world import RamFlash, Random, mount

ROOT = "/flash"
FOLDER, SEED = sys.argv[1], int(sys.argv[2])
SIZE = 90
PIECE = 16


def read(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


OFFER, BUNDLE = read("offer"), read("bundle")
SESSION = stage.session(OFFER)


def on_flash(flash, form=False):
    return mount(flash, form, ROOT, "/data")


async def breathe():
    pass


def coded(block, number, count):
    data = bytearray(SIZE)
    for at in fragments.parity_line(number, count):
        fragments.xor(data, block[at * SIZE : (at + 1) * SIZE])
    return bytes(data)


def told(at):
    return update.status(asyncio.run(at.take(bytes([update.ASK])))[0])


def piece(at, have, flash, rng):
    """One session of TS004, until the board lacks nothing or the power is gone: then its flash only fails."""
    block = BUNDLE[have : have + PIECE * SIZE]
    count = (len(block) + SIZE - 1) // SIZE
    padding = count * SIZE - len(block)
    block += bytes(padding)
    setup = fragments.setup_req(0, count, SIZE, padding, SESSION + (have & 0xFFFF).to_bytes(2, "little"))
    (answer,) = at.take_fragments(setup + fragments.status_req(0))
    if answer[:2] == fragments.setup_ans(0, fragments.WRONG_DESCRIPTOR):
        return  # a piece that was whole at the cut has been put to the bundle meanwhile
    assert answer[:2] == fragments.setup_ans(0, 0), answer
    number = sent = 0
    while flash.writes <= flash.cut:
        sent += 1
        assert sent < 40 * count + 200
        number = number + 1 if count > 1 else 1  # of one fragment there is no parity
        data = block[(number - 1) * SIZE : number * SIZE] if number <= count else coded(block, number - count, count)
        if rng.chance(20) and count > 1:
            continue
        assert at.take_fragments(fragments.data(0, number, data)) == []
        if number >= count:
            (answer,) = at.take_fragments(fragments.status_req(0)) or (b"",)
            if not answer or fragments.decode_status_ans(answer[1:])[2] == 0:
                return


def life(files, flash, rng):
    """From a start on: what is there, the rest, until the bundle is whole, or the power is gone."""
    at = desk.Desk(files, breathe, ROOT, "a")
    if told(at)[update.S_SESSION] != SESSION:
        half = len(OFFER) // 2
        (answer,) = asyncio.run(at.take(update.offer(half, len(OFFER), OFFER[half:])))  # the first half was lost
        answer = update.status(answer)
        assert (answer[update.S_PROBLEM], answer[update.S_SESSION]) == (update.NONE, b""), answer
        asyncio.run(at.take(update.offer(0, len(OFFER), OFFER)))
    while told(at)[update.S_PHASE] == update.RECEIVING:
        piece(at, told(at)[update.S_HAVE], flash, rng)
        if flash.writes > flash.cut:
            return
    assert told(at)[update.S_PHASE] == update.COMPLETE, told(at)
    at.give_back()
    assert "firmware.node.update_fragments" not in sys.modules
    assert "firmware.node.defragmenter" not in sys.modules


def main():
    rng = Random(SEED)
    cuts = 0
    flash = RamFlash(48)
    files = on_flash(flash, True)
    os.mkdir(ROOT + "/a")
    with open(ROOT + "/a/manifest", "wb") as file:
        file.write(read("old.manifest"))
    Slots(files, "vendor").write(cbor.dumps([read("vendor")]))
    whole = False
    while not whole:
        flash.writes, flash.cut = 0, None
        files = on_flash(flash)
        for name in ("firmware.node.update_fragments", "firmware.node.defragmenter"):
            sys.modules.pop(name, None)  # a start has no code in memory
        flash.cut = 1 + rng.below(70 if cuts < 20 else 10000)
        try:
            life(files, flash, rng)
            whole = flash.writes <= flash.cut
        except (OSError, AssertionError, ValueError):
            if flash.writes <= flash.cut:  # nothing but the cut may be the cause
                raise
        cuts += not whole
        gc.collect()
    flash.cut = None
    files = on_flash(flash)
    assert stage.is_whole(files, len(BUNDLE), update.manifest(update.parse(OFFER)[2])[update.M_SHA256])
    print("%d power cuts" % cuts)
    assert cuts > 3
    print("ok")


main()
