# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A slot as one file, ``/a.lyk``: what a board makes of a release, and how its /main.py shows it as a folder.

The file: MAGIC, the bytes of the index (2, big-endian); the index, for each path the CRC-32 of it with a slash in
front and where it begins (3 bytes), 0 for a folder; the manifest; all others by path. A file is opened at its place:
what a module is of says itself where it ends, and the one source, which says nothing, is the last.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from provisioning.errors import BoardError

MANIFEST: Final = "manifest"
SUFFIX: Final = ".lyk"
MAGIC: Final = b"LyS1"
HEAD_BYTES: Final = 6
ROW_BYTES: Final = 7
_ENDINGS: Final = ("", ".py", ".mpy")

READER: Final = f"""import binascii
import vfs

class Slot:
    def __init__(self, name):
        self.name = name
        open(name).close()

    def mount(self, *_):
        pass

    umount = mount

    def open(self, path, mode):
        file = open(self.name, "rb")
        index = file.read({HEAD_BYTES})
        index = file.read(index[4] << 8 | index[5])
        key = binascii.crc32(path).to_bytes(4, "big")
        at = index.find(key)
        while at % {ROW_BYTES}:
            if at < 0:
                file.close()
                raise OSError(2)
            at = index.find(key, at + 1)
        at = int.from_bytes(index[at + 4:at + {ROW_BYTES}], "big")
        if mode:
            file.seek(at)
            return file
        file.close()
        return (0x8000 if at else 0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    def stat(self, path):
        return self.open(path, "")

    ilistdir = stat

def show(slot):
    name = "/" + slot
    try:
        vfs.mount(Slot(name + "{SUFFIX}"), name)
    except OSError:
        pass
    sys.path.insert(0, name)

""".replace("    ", " ")
"""For a /main.py that has imported sys: ``show("a")`` puts a slot into the path, whether it is a file or a tree."""


def check(content: Mapping[str, bytes]) -> None:
    """Raise BoardError for what a board could not read: two names that it would take for each other, more sources."""
    sources = [path for path in sorted(content) if path.endswith(".py")]
    if sources and sources != [max(content)]:
        raise BoardError(
            "A release has one source, behind all other files: a board reads it to the end of the slot.",
            value=", ".join(sources),
        )
    there = {_key(path): path for path in _known(content)}
    for each in _known(content):
        for ending in _ENDINGS:
            asked = each.partition(".")[0] + ending
            if there.get(_key(asked), asked) != asked or there[_key(each)] != each:
                raise BoardError("Two files have one checksum of their names.", value=f"{asked}, {there[_key(asked)]}")


def made(content: Mapping[str, bytes], manifest: bytes) -> bytes:
    """The file, byte by byte as a board makes it of a release."""
    files = {MANIFEST: manifest, **dict(sorted(content.items()))}
    told = ""
    rows: list[tuple[str, bytes | None]] = []
    for path, data in files.items():
        for folder in PurePosixPath(path).parents:
            if str(folder) != "." and not f"{told}/".startswith(f"{folder}/"):
                rows.append((str(folder), None))
        told = path
        rows.append((path, data))
    at = HEAD_BYTES + ROW_BYTES * len(rows)
    index = b""
    for path, each in rows:
        index += _key(path) + (0 if each is None else at).to_bytes(3, "big")
        at += len(each or b"")
    return MAGIC + len(index).to_bytes(2, "big") + index + b"".join(files.values())


def _key(path: str) -> bytes:
    return binascii.crc32(f"/{path}".encode()).to_bytes(4, "big")


def _known(content: Mapping[str, bytes]) -> list[str]:
    folders = {str(parent) for path in content for parent in PurePosixPath(path).parents if str(parent) != "."}
    return [MANIFEST, *content, *sorted(folders)]
