# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A heap in small pieces: files are read and written, texts said and code borrowed all the same, again and again.

micropython -X heapsize=512k tests/upy/node_memory.py SEED FOLDER      FOLDER has lent.mpy and lent_too.mpy, which that
imports; prints "ok" at the end
"""

import gc
import random
import sys

import firmware.node
from firmware.node import lazy, texts
from tests.upy.node_world import RamFlash, mount

ROOT = "/flash"
PIECE_BYTES = 200
ROUNDS = 60
MOST = 8192
TEXT = "a text that lies on flash"


class Flash(RamFlash):
    """One that takes no memory at work, as a board's own."""

    def __init__(self):
        super().__init__(content=memoryview(bytearray(65536)))
        self.blank = b"\xff" * 4096

    def writeblocks(self, block, buf, offset=0):
        start = 4096 * block + offset
        self.content[start : start + len(buf)] = memoryview(buf)

    def ioctl(self, op, arg):
        if op != 6:
            return super().ioctl(op, arg)
        self.content[4096 * arg : 4096 * arg + 4096] = self.blank
        return 0


def in_pieces():
    """Fill the heap with small pieces, and give every second of them back."""
    pieces = [None] * MOST
    count = 0
    try:
        while True:
            pieces[count] = bytearray(PIECE_BYTES)
            count += 1
    except MemoryError:
        pass
    for at in range(0, count, 2):
        pieces[at] = None
    gc.collect()
    return pieces, count


def scattered():
    """Has a file no place but the one that is kept?"""
    try:
        open(ROOT + "/texts", "rb").close()
    except MemoryError:
        return True
    return False


def live(pieces, count):
    """What a node does all day: some of what it holds goes, something else stays."""
    for _ in range(20):
        at = random.randrange(count)
        pieces[at] = None if pieces[at] else bytearray(random.randrange(8, PIECE_BYTES))


random.seed(int(sys.argv[1]))
files = mount(Flash(), True, ROOT)
for name in ("/lent.mpy", "/lent_too.mpy"):
    with open(sys.argv[2] + name, "rb") as source, open(ROOT + name, "wb") as file:
        file.write(source.read())
with open(ROOT + "/texts", "w") as file:
    file.write(TEXT + "\n")
del source, file
firmware.__path__ = firmware.node.__path__ = ROOT
texts._PATH = ROOT + "/texts"
files.write("x", b"")
with lazy.borrowed("lent", "lent_too"):  # its names are known from now on, as a node's are
    pass
held = in_pieces()
assert scattered()
for number in range(ROUNDS):
    live(*held)
    files.append("x", b"%04d" % number)
    assert files.read_at("x", 4 * number, 4) == b"%04d" % number
    files.write_at("x", 0, b"0000")
    assert len(files.read("x")) == 4 * number + 4
    live(*held)
    assert texts.text(0) == TEXT
    with lazy.borrowed("lent", "lent_too") as lent:
        live(*held)
        assert lent.VALUE == 7
        files.write("y", b"while code is lent")
    assert "firmware.lent_too" not in sys.modules
print("ok")
