# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An update on flash: manifest, bundle as far as it is here, one record of state; and the slot that it fills.

The record holds the highest sequence number that was confirmed, beside how the last update went, so that both change
together. ``/data/offer`` is there while a manifest was found good; the length of ``/data/bundle`` is the progress.

Filling the slot that does not run is safe at every flash operation: all of it becomes one file, written to the side,
read back, and renamed when each SHA-256 in it is right. Nothing that runs is touched but ``/main.py``, by one rename. A
slot that came by cable is a tree of files. *root* is "" on a board; tests have another.
"""

import binascii
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
_PIECE_BYTES = 128
# In the folder of its target: a power cut while littlefs moves a file to another folder can take a neighbour with it.
_SIDE = ".new"
# littlefs keeps files of an eighth of a block beside their names, in pairs of blocks that it splits when they are half
# full and more: three eighths is what a node's folders come to.
SMALL = 8
NAME_BYTES = 16
# A slot as one file: MAGIC, the bytes of the index (2, big-endian); the index: for each path the CRC-32 of it with a
# slash in front, and where it begins (3), 0 for a folder; the manifest; all others. /main.py shows it as a folder.
SLOT_FILE = ".lyk"
MAGIC = b"LyS1"
ROW_BYTES = 8
_INDEX_BYTES = 7


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
    file = opened(root, slot, "manifest")
    if file is None:
        raise OSError(errno.ENOENT)
    with file:
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
    """Return the bytes that are free once the other slot is a file of what runs; negative: it cannot be.

    MicroPython names the two blocks of each folder twice, in what holds it and in the chain of all folders, so that a
    copy of a node in folders costs some 20 blocks that are free; below zero its count is one of 32 bits.
    """
    there = os.statvfs(root or "/")
    folders = 0
    held = {}
    for slot in ("a", "b"):
        within, blocks, size = _weigh(root + "/" + slot, there[0])
        folders += within
        held[slot] = (blocks, (size + there[0] - 1) // there[0])
    free = there[3] + 2 * folders & 0xFFFFFFFF
    if free > there[2]:
        free = 0
    grows = held[runs][1] - held["b" if runs == "a" else "a"][0] if runs in held else 0
    return (free - max(0, grows)) * there[0]


def _weigh(folder: str, block_bytes: int) -> tuple:
    """Return how many folders there are, this one too, the blocks of all (see NAME_BYTES), and the bytes in them."""
    try:
        size = os.stat(folder + SLOT_FILE)[6]
        return 0, (size + block_bytes - 1) // block_bytes, size
    except OSError:
        pass
    try:
        names = os.listdir(folder)
    except OSError:
        return 0, 0, 0
    folders, blocks, beside, size = 1, 0, 1, 0
    for name in names:
        path = folder + "/" + name
        found = os.stat(path)
        beside += NAME_BYTES + len(name)
        if found[0] & 0x4000:
            within = _weigh(path, block_bytes)
            folders += within[0]
            blocks += within[1]
            size += within[2]
            continue
        size += found[6] + ROW_BYTES
        if found[6] > block_bytes // SMALL:
            blocks += (found[6] + block_bytes - 1) // block_bytes
        else:
            beside += found[6]
    full = block_bytes * 3 // 8
    return folders, blocks + 2 * ((beside + full - 1) // full), size


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


async def fill(files, root: str, slot: str, other: str, breathe) -> int:
    """Make *slot* what the bundle says; return NONE, or the problem. Raises OSError."""
    places = 0  # in the index
    for path, folders, _, _, _, _ in _placed(files):
        if len(path) > update.MAX_PATH or ".." in path or (path[:1] == "/") != (path in update.ROOT):
            return update.MALFORMED
        places += 1 + len(folders)
        await breathe()
    trial = template(files, "/trial")
    if not any([SLOT_FILE.encode() in a + b for a, b in zip(trial, trial[1:] + [b""])]):
        return update.MALFORMED  # it would not find a slot that is one file, and not what runs now
    top = root + "/" + slot
    remove(top + "/manifest")  # a slot that is not complete says so
    await clear_slot(top, breathe)
    with open(top + SLOT_FILE + _SIDE, "wb") as file:  # noqa: ASYNC230  a board has no other way
        file.write(struct.pack(">4sH", MAGIC, _INDEX_BYTES * places))
        at = 6 + _INDEX_BYTES * places
        for path, folders, size, _, _, _ in _placed(files):
            for folder in folders:
                file.write(_row(folder, 0))
            file.write(_row(path, at))
            at += size
            await breathe()
        for entry in _placed(files):
            if not await _copy(files, root, other, entry, file, breathe):
                return update.DAMAGED
    if not await _is_good(files, top + SLOT_FILE + _SIDE, 6 + _INDEX_BYTES * places, breathe):
        return update.DAMAGED
    os.rename(top + SLOT_FILE + _SIDE, top + SLOT_FILE)
    return update.NONE


def _placed(files):
    """Yield path, folders that were not told yet, size, SHA-256, source and place in the bundle of what lies in a slot:
    the manifest, then all others as the bundle has them. Raises OSError."""
    for first in (True, False):
        told = ""
        for path, size, digest, source, at in entries(files):
            if path[:1] == "/" or (path == "manifest") != first:
                continue
            folder = path[: path.rfind("/")] if "/" in path else ""
            folders = []
            while folder and not (told + "/").startswith(folder + "/"):
                folders.append(folder)
                folder = folder[: folder.rfind("/")] if "/" in folder else ""
            told = path
            yield path, folders, size, digest, source, at


def _row(path: str, at: int) -> bytes:
    return _key(path) + at.to_bytes(3, "big")


def _key(path: str) -> bytes:
    return binascii.crc32(b"/" + path.encode()).to_bytes(4, "big")


async def _copy(files, root: str, other: str, entry: tuple, file, breathe) -> bool:
    path, _, size, digest, source, at = entry
    whole = hashlib.sha256()
    if source == update.COPY:
        origin = opened(root, other, path)
        if origin is None:
            return False
    for offset in range(0, size, _CHUNK_BYTES):
        length = min(_CHUNK_BYTES, size - offset)
        piece = origin.read(length) if source == update.COPY else files.read_at(BUNDLE, at + offset, length)
        whole.update(piece)
        file.write(piece)
        await breathe()
    if source == update.COPY:
        origin.close()
    return whole.digest() == digest


async def _is_good(files, path: str, at: int, breathe) -> bool:
    """Read all of it back."""
    with open(path, "rb") as file:  # noqa: ASYNC230
        file.seek(at)
        for _, _, size, digest, _, _ in _placed(files):
            whole = hashlib.sha256()
            for offset in range(0, size, _CHUNK_BYTES):
                whole.update(file.read(min(_CHUNK_BYTES, size - offset)))
                await breathe()
            if whole.digest() != digest:
                return False
    return True


def opened(root: str, slot: str, path: str):
    """Return a file of a slot at its first byte, None when there is none. In a slot that is one file others follow."""
    top = root + "/" + slot
    try:
        file = open(top + SLOT_FILE, "rb")  # noqa: SIM115  who asked closes it
    except OSError:
        try:
            return open(top + "/" + path, "rb")
        except OSError:
            return None
    magic, size = struct.unpack(">4sH", file.read(6))
    if magic == MAGIC:
        key = _key(path)
        for _ in range(0, size, _INDEX_BYTES):
            row = file.read(_INDEX_BYTES)
            if row[:4] == key:
                file.seek(int.from_bytes(row[4:], "big"))
                return file
    file.close()
    return None


async def clear_slot(top: str, breathe) -> None:
    """Remove what lies in a slot, in either form."""
    remove(top + SLOT_FILE)
    remove(top + SLOT_FILE + _SIDE)
    for path in _walk(top, ""):
        await breathe()
        os.remove(top + "/" + path)
    _prune(top)


def _prune(top: str) -> None:
    """Remove empty folders: each takes two blocks."""
    try:
        names = os.listdir(top)
    except OSError:
        return
    for name in names:
        _prune(top + "/" + name)
    os.rmdir(top)


def start_trial(files, root: str, slot: str, other: str) -> None:
    """Have the next start, and no other, run *slot*. Raises OSError."""
    put(root + "/trial", [b"1"])
    put(root + "/main.py", template(files, "/trial"), slot, other)


def template(files, name: str) -> list:
    """Return a file of the root as the bundle has it, in pieces: in one there may be no memory. Raises OSError."""
    for path, size, digest, _, at in entries(files):
        if path == name:
            whole, pieces = hashlib.sha256(), []
            for offset in range(0, size, _PIECE_BYTES):
                pieces.append(files.read_at(BUNDLE, at + offset, min(_PIECE_BYTES, size - offset)))
                whole.update(pieces[-1])
            if whole.digest() == digest:
                return pieces
    raise OSError(errno.ENOENT)


def put(path: str, pieces: list, slot: str = "", other: str = "") -> None:
    """Replace a file by one rename. With *slot*, its letter is put in, and so is that of the *other*."""
    if slot:
        pieces = [piece.replace(update.SLOT, slot.encode()) for piece in pieces]
    if other:
        pieces = [piece.replace(update.OTHER, other.encode()) for piece in pieces]
    if _same(path, pieces):
        return
    with open(path + ".new", "wb") as file:
        for piece in pieces:
            file.write(piece)
    os.rename(path + ".new", path)


def remove(path: str) -> None:
    """Delete a file. That it is gone already is fine."""
    try:
        os.remove(path)
    except OSError as error:
        if error.args[0] != errno.ENOENT:
            raise


def _same(path: str, pieces: list) -> bool:
    try:
        with open(path, "rb") as file:
            for piece in pieces:
                if file.read(len(piece)) != piece:
                    return False
            return not file.read(1)
    except OSError:
        return False


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
