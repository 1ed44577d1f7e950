# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An update on flash: manifest, bundle as far as it is here, one record of state; and the slot that it fills.

The record holds the highest sequence number that was confirmed, beside how the last update went, so that both change
together. ``/data/offer`` is there while a manifest was found good; the length of ``/data/bundle`` is the progress.

Filling the slot that does not run is safe at every flash operation: each file is written to the side, read back, and
renamed when its SHA-256 is right; the slot's own manifest comes last. What is there already stays: after a power cut
the same call goes on. Nothing that runs is touched but ``/main.py``, by one rename. *root* is "" on a board; tests have
another.
"""

import errno
import hashlib
import os
import struct
import sys

from firmware.node.errors import StoreCorrupt
from firmware.node.store import Slots, decode
from firmware.wire import cbor, update

OFFER = "offer"
BUNDLE = "bundle"
FRAGMENTS = "fragments.setup"  # there while a piece of the bundle comes in fragments
_CHUNK_BYTES = 512
# In the folder of its target: a power cut while littlefs moves a file to another folder can take a neighbour with it.
_SIDE = ".new"
# littlefs keeps files of an eighth of a block beside their names, in pairs of blocks that it splits when they are half
# full and more: three eighths is what a node's folders come to.
SMALL = 8
NAME_BYTES = 16


class Record:
    """State on flash: ``counter``, ``phase``, ``problem``, and of a trial ``sequence``, ``slot``, ``build``,
    ``health_s`` and ``failed``, the parts that were broken before it. Raises StoreCorrupt."""

    def __init__(self, files) -> None:
        self._slots = Slots(files, "release")
        payload = self._slots.payload
        if payload is None and not (self._slots.fresh or self._slots.first_only):
            raise StoreCorrupt("release: no valid record left; an older build could pass for a new one")
        values = decode(payload) if payload else [0, update.IDLE, update.NONE, 0, "", b"", 0, 0]
        self.counter, self.phase, self.problem, self.sequence, self.slot, self.build, self.health_s, self.failed = (
            values
        )

    def save(self) -> None:
        """Durable when it returns, in both copies: with one of them lost the counter must not fall back."""
        values = [self.counter, self.phase, self.problem, self.sequence]
        payload = cbor.dumps(values + [self.slot, self.build, self.health_s, self.failed])
        self._slots.write(payload)
        self._slots.write(payload)

    def end(self, phase: int, problem: int) -> None:
        """Note how it ended."""
        self.phase, self.problem = phase, problem
        self.save()


def running() -> str:
    """Return the slot whose code this is, "" for another place."""
    path = sys.path[0] if sys.path else ""
    return path[1:] if path in ("/a", "/b") else ""


def describes(root: str, slot: str) -> tuple:
    """Return build, board, kind and links of a slot, as the first line of its manifest says. Raises OSError."""
    with open("%s/%s/manifest" % (root, slot), "rb") as file:
        words = file.readline().decode().split()
    if len(words) not in (3, 5) or words[0] != "lykta":
        raise OSError(5)
    return (bytes.fromhex(words[1]), words[2]) + (tuple(words[3:]) or ("", ""))


def session(signed: bytes) -> bytes:
    """Return the two bytes by which blocks name this manifest."""
    return hashlib.sha256(signed).digest()[:2]


def have(files) -> int:
    """Return how many bytes of the bundle are here."""
    try:
        return files.size(BUNDLE)
    except OSError:
        return 0


def clear(files) -> None:
    """Remove manifest and bundle, in this order: a bundle without a manifest is nothing."""
    files.remove(OFFER)
    files.remove(BUNDLE)
    for name in (FRAGMENTS, "fragments.rows", "fragments.gaps", "fragments"):
        files.remove(name)


def room(root: str, runs: str) -> int:
    """Return the bytes that are free once the other slot holds as much as the one that runs; negative: it cannot.

    MicroPython names the two blocks of each folder twice, in what holds it and in the chain of all folders, so that two
    copies of a node cost some 40 blocks that are free; below zero its count is one of 32 bits.
    """
    there = os.statvfs(root or "/")
    held = {}
    folders = 0
    for slot in ("a", "b"):
        within, held[slot] = _weigh(root + "/" + slot, there[0])
        folders += within
    free = there[3] + 2 * folders & 0xFFFFFFFF
    if free > there[2]:
        free = 0
    grows = held[runs] - held["b" if runs == "a" else "a"] if runs in held else 0
    return (free - max(0, grows)) * there[0]


def _weigh(folder: str, block_bytes: int) -> tuple:
    """Return how many folders there are, this one too, and the blocks of all: see NAME_BYTES."""
    try:
        names = os.listdir(folder)
    except OSError:
        return 0, 0
    folders, blocks, beside = 1, 0, 1
    for name in names:
        path = folder + "/" + name
        found = os.stat(path)
        beside += NAME_BYTES + len(name)
        if found[0] & 0x4000:
            within = _weigh(path, block_bytes)
            folders += within[0]
            blocks += within[1]
        elif found[6] > block_bytes // SMALL:
            blocks += (found[6] + block_bytes - 1) // block_bytes
        else:
            beside += found[6]
    full = block_bytes * 3 // 8
    return folders, blocks + 2 * ((beside + full - 1) // full)


def is_whole(files, size: int, digest: bytes) -> bool:
    """Tell whether the bundle is the one of the manifest."""
    whole = hashlib.sha256()
    for offset in range(0, size, _CHUNK_BYTES):
        whole.update(files.read_at(BUNDLE, offset, min(_CHUNK_BYTES, size - offset)))
    return have(files) == size and whole.digest() == digest


def entries(files):
    """Yield path, size, SHA-256, source and where the data begin, of each entry of the bundle. Raises OSError."""
    head = files.read_at(BUNDLE, 0, 6)
    if len(head) != 6 or head[:4] != update.MAGIC:
        raise OSError(5)
    at = 6
    for _ in range(struct.unpack(">H", head[4:])[0]):
        size = files.read_at(BUNDLE, at, 1)[0]
        head = files.read_at(BUNDLE, at + 1, size + update.TAIL_BYTES)
        length, digest, source = struct.unpack(">I32sB", head[size:])
        at += 1 + size + update.TAIL_BYTES
        yield head[:size].decode(), length, digest, source, at
        at += length if source == update.HERE else 0


def pieces(files, at: int, size: int):
    """Yield *size* bytes of the bundle from *at* on, in pieces."""
    for offset in range(0, size, _CHUNK_BYTES):
        yield files.read_at(BUNDLE, at + offset, min(_CHUNK_BYTES, size - offset))


async def fill(files, root: str, slot: str, other: str, breathe) -> int:
    """Make *slot* what the bundle says; return NONE, or the problem. Raises OSError."""
    paths = set()
    for path, _, _, _, _ in entries(files):
        if len(path) > update.MAX_PATH or ".." in path or (path[:1] == "/") != (path in update.ROOT):
            return update.MALFORMED
        paths.add(path)
    if "manifest" not in paths or not paths.issuperset(update.ROOT):
        return update.MALFORMED
    top = "%s/%s" % (root, slot)
    remove(top + "/manifest")  # a slot that is not complete says so
    for path in _walk(top, ""):
        await breathe()
        if path not in paths:
            os.remove(top + "/" + path)
    last = None
    for entry in entries(files):
        await breathe()
        if entry[0] == "manifest":
            last = entry
        elif entry[0][0] != "/" and not await _file(files, root, slot, other, entry, breathe):
            return update.DAMAGED
    return update.NONE if last and await _file(files, root, slot, other, last, breathe) else update.DAMAGED


async def _file(files, root: str, slot: str, other: str, entry: tuple, breathe) -> bool:
    path, size, digest, source, at = entry
    target = "%s/%s/%s" % (root, slot, path)
    if await sha256(target, breathe) == digest:
        return True
    origin = "%s/%s/%s" % (root, other, path)
    if source == update.COPY and await sha256(origin, breathe) != digest:
        return False
    _folders(root, slot + "/" + path)
    side = target + _SIDE
    with open(side, "wb") as file:  # noqa: ASYNC230  a board has no other way
        for piece in _content(origin) if source == update.COPY else pieces(files, at, size):
            file.write(piece)
            await breathe()
    if await sha256(side, breathe) != digest:
        return False
    os.rename(side, target)
    return True


def start_trial(files, root: str, slot: str, other: str) -> None:
    """Have the next start, and no other, run *slot*. Raises OSError."""
    put(root + "/trial", b"1")
    put(root + "/main.py", template(files, "/trial").replace(update.OTHER, other.encode()), slot)


def template(files, name: str) -> bytes:
    """Return a file of the root as the bundle has it. Raises OSError."""
    for path, size, digest, _, at in entries(files):
        if path == name:
            data = files.read_at(BUNDLE, at, size)
            if hashlib.sha256(data).digest() == digest:
                return data
    raise OSError(errno.ENOENT)


def put(path: str, data: bytes, slot: str = "") -> None:
    """Replace a file by one rename. With *slot*, its letter is put in."""
    if slot:
        data = data.replace(update.SLOT, slot.encode())
    if _same(path, data):
        return
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def remove(path: str) -> None:
    """Delete a file. That it is gone already is fine."""
    try:
        os.remove(path)
    except OSError as error:
        if error.args[0] != errno.ENOENT:
            raise


async def sha256(path: str, breathe) -> bytes:
    """Return the digest of a file, b"" when there is none."""
    digest = hashlib.sha256()
    try:
        for piece in _content(path):
            digest.update(piece)
            await breathe()
    except OSError:  # none there, or unreadable: it is written anew
        return b""
    return digest.digest()


def _same(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def _content(path: str):
    with open(path, "rb") as file:
        piece = file.read(_CHUNK_BYTES)
        while piece:
            yield piece
            piece = file.read(_CHUNK_BYTES)


def _folders(root: str, path: str) -> None:
    at = path.find("/")
    while at >= 0:
        try:
            os.mkdir("%s/%s" % (root, path[:at]))
        except OSError as error:
            if error.args[0] != errno.EEXIST:
                raise
        at = path.find("/", at + 1)


def _walk(top: str, folder: str) -> list:
    found = []
    try:
        names = os.listdir(top + "/" + folder if folder else top)
    except OSError:
        return found
    for name in names:
        path = folder + "/" + name if folder else name
        if os.stat(top + "/" + path)[0] & 0x4000:
            found += _walk(top, path)
        else:
            found.append(path)
    return found
