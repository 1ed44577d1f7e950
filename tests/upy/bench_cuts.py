# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the bench runs on a board, on the real littlefs: the power goes at every single flash operation.

micropython tests/upy/bench_cuts.py FILE SEED      FILE: JSON, code in hexadecimal; prints how many cuts, then "ok"
"""

import json
import os
import random
import sys

import vfs

from tests.upy.node_world import RamFlash, mount

BLOCKS = 64
NEIGHBOURS = {"/data/main.py": b"the launcher", "/data/a.txt": b"first", "/data/z.txt": b"last", "/data/b/old": b"old"}


class TornFlash(RamFlash):
    """The operation in which the power goes leaves the beginning of what it was to write."""

    def writeblocks(self, block, buf, offset=0):
        if self.writes == self.cut:
            return RamFlash.writeblocks(self, block, buf[: random.randrange(len(buf))], offset)
        return RamFlash.writeblocks(self, block, buf, offset)

    def _stored(self, size):
        return size if self.cut is None or self.writes <= self.cut else 0


def prepared():
    flash = TornFlash(BLOCKS)
    mount(flash)
    os.mkdir("/data/b")
    for path, data in NEIGHBOURS.items():
        with open(path, "wb") as file:
            file.write(data)
    return bytes(flash.content)


def run(codes):
    space = {}
    for code in codes:
        exec(bytes.fromhex(code), space)


def there(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def main():
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    random.seed(int(sys.argv[2]))
    image = prepared()
    cut = 0
    while True:
        flash = TornFlash(BLOCKS)
        flash.content[:] = image
        mount(flash, form=False)
        flash.writes, flash.cut = 0, cut
        try:
            run(plan["codes"])
            done = True
        except OSError:
            done = False
        flash.cut = None
        mount(flash, form=False)
        for path, data in NEIGHBOURS.items():
            assert there(path) == data, (path, cut, os.listdir("/data"))
        for path, size in plan["files"]:
            found = there(path)
            assert found is None or len(found) == size, (path, cut)
            assert found is not None or not done, (path, cut)
        run(plan["codes"])  # the job is given again
        for path, data in NEIGHBOURS.items():
            assert there(path) == data, (path, cut, "after the second time")
        assert all(len(there(path)) == size for path, size in plan["files"]), cut
        if done:
            break
        cut += 1
    vfs.umount("/data")
    print("%d cuts" % cut)
    assert cut > 20
    print("ok")


main()
