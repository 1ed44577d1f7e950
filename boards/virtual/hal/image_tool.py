# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# Works on a flash image without a board: the file system is MicroPython's own littlefs. Runs under MicroPython only.
#   image_tool.py make IMAGE BLOCKS BLOCK PROGRAM FROM...   (FROM: host folders copied over the root, in order)
#   image_tool.py list IMAGE BLOCKS BLOCK PROGRAM | read IMAGE BLOCKS BLOCK PROGRAM PATH
import os
import sys

import vfs


class Image:
    def __init__(self, path, blocks, block):
        self._file = open(path, "r+b")  # noqa: SIM115
        self._blocks, self._block = blocks, block

    def readblocks(self, number, buffer, offset=0):
        self._file.seek(number * self._block + offset)
        self._file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        self._file.seek(number * self._block + offset)
        self._file.write(buffer)

    def ioctl(self, request, argument):
        if request == 4:
            return self._blocks
        if request == 5:
            return self._block
        if request == 6:
            self.writeblocks(argument, b"\xff" * self._block)
        return 0


def copy_tree(source, target):
    for entry in sorted(os.listdir(source)):
        inner, outer = source + "/" + entry, target + "/" + entry
        if os.stat(inner)[0] & 0x4000:
            try:
                os.mkdir(outer)
            except OSError:
                os.stat(outer)
            copy_tree(inner, outer)
        else:
            with open(inner, "rb") as f, open(outer, "wb") as g:
                while piece := f.read(4096):
                    g.write(piece)


def show_tree(folder):
    for name, kind, _, size in sorted(os.ilistdir("/flash" + folder)):
        path = folder + "/" + name
        if kind & 0x4000:
            show_tree(path)
        else:
            print(size, path)


def main(verb, path, blocks, block, program, *rest):
    image = Image(path, int(blocks), int(block))
    if verb == "make":
        vfs.VfsLfs2.mkfs(image, progsize=int(program), readsize=256)
    vfs.mount(vfs.VfsLfs2(image, progsize=int(program), readsize=256), "/flash")
    if verb == "make":
        for source in rest:
            copy_tree(source, "/flash")
    elif verb == "list":
        show_tree("")
    else:
        with open("/flash/" + rest[0].lstrip("/"), "rb") as f:
            while piece := f.read(4096):
                sys.stdout.buffer.write(piece)
    vfs.umount("/flash")


main(*sys.argv[1:])
