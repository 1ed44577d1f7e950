# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Takes the bundle of an update in fragments, on FPort 201: LoRaWAN TS004-1.0.0. Loaded while they come.

One session, of index 0, carries the next piece of the bundle: its descriptor is the update's session (2 bytes), and the
bytes of the bundle that are here already, modulo 65536, little-endian. When the piece is complete it is put to the
bundle, and the next session carries what comes behind it. All of it is on flash: after a power cut it goes on from
there, and an announcement that is repeated changes nothing.
"""

import struct

from firmware.node import update_stage as stage
from firmware.node.defragmenter import MAX_MISSING, Defragmenter, TooManyLost, remove
from firmware.wire import fragments

_RECORD = "<2sIHBB"  # update's session, offset in the bundle, fragments, bytes of each, padding
_CHUNK_BYTES = 512
_SPARE_BYTES = 8192


class Transport:
    """*desk* has ``runs``, and ``session``, ``have`` and ``size`` of the update that is offered, and hears that the
    bundle has ``grown``. *root* is where the file system is mounted. Raises OSError."""

    def __init__(self, files, root: str, desk) -> None:
        self._files = files
        self._root = root
        self._desk = desk
        self._decoder = None  # type: Defragmenter | None
        self._count = self._size = self._padding = self._offset = 0
        raw = files.read(stage.FRAGMENTS)
        if raw and len(raw) == struct.calcsize(_RECORD) and raw[:2] == desk.session:
            self._begin(raw)

    def take(self, payload: bytes) -> bytes:
        """Do what the commands of one frame ask; return what answers them, b"" for nothing. Raises Malformed."""
        answer = b""
        for cid, body in fragments.parse(payload, False):
            if cid == fragments.DATA_CID:
                self._data(body)
            elif cid == fragments.VERSION_CID:
                answer += fragments.version_ans()
            elif cid == fragments.STATUS_CID:
                answer += self._status(body)
            elif cid == fragments.SETUP_CID:
                answer += self._setup(body)
            else:
                answer += self._delete(body)
        return answer

    def drop(self) -> None:
        """Forget the session."""
        self._files.remove(stage.FRAGMENTS)
        remove(self._files)
        self._decoder, self._count = None, 0

    def _begin(self, raw: bytes) -> None:
        _, self._offset, self._count, self._size, self._padding = struct.unpack(_RECORD, raw)
        if self._desk.have >= self._offset + self._length():
            return  # this piece is whole; who asks is told so
        self._decoder = Defragmenter(self._files, self._count, self._size)
        if self._decoder.complete:
            self._finish()
        elif self._desk.have != self._offset:  # something else has put bytes to the bundle meanwhile
            self.drop()

    def _length(self) -> int:
        return self._count * self._size - self._padding

    def _setup(self, body: bytes) -> bytes:
        index, count, size, encoding, padding, descriptor = fragments.decode_setup(body)
        desk = self._desk
        length = count * size - padding
        problems = fragments.ENCODING_UNSUPPORTED if encoding else 0
        if index:
            problems |= fragments.INDEX_UNSUPPORTED
        elif (
            not desk.session
            or descriptor != desk.session + struct.pack("<H", desk.have & 0xFFFF)
            or not 0 < length <= desk.size - desk.have
            or padding >= size
        ):
            problems |= fragments.WRONG_DESCRIPTOR
        record = struct.pack(_RECORD, desk.session, desk.have, count, size, padding)
        if not problems and (self._decoder is None or self._files.read(stage.FRAGMENTS) != record):
            self.drop()
            rows = min(count, MAX_MISSING) * (size + MAX_MISSING // 8)
            if stage.room(self._root, desk.runs) < count * size + rows + desk.size - desk.have + _SPARE_BYTES:
                problems = fragments.NO_MEMORY
            else:
                self._files.write(stage.FRAGMENTS, record)
                self._begin(record)
        return fragments.setup_ans(index, problems)

    def _status(self, body: bytes) -> bytes:
        index, all_answer = fragments.decode_status_req(body)
        if index or not self._count:
            return b""
        received, missing = self._count, 0
        if self._decoder is not None:
            received, missing = self._decoder.received, self._decoder.missing
        return fragments.status_ans(0, received, missing, False) if all_answer or missing else b""

    def _delete(self, body: bytes) -> bytes:
        index = body[0] & 3
        unknown = bool(index) or not self._count
        if not unknown:
            self.drop()
        return fragments.delete_ans(index, unknown)

    def _data(self, body: bytes) -> None:
        index, number, fragment = fragments.decode_data(body)
        if index or self._decoder is None:
            return
        try:
            if self._decoder.take(number, fragment):
                self._finish()
        except TooManyLost:
            pass  # it is sent again: the status says how far this board is

    def _finish(self) -> None:
        """Put the piece to the bundle; a power cut in between costs nothing."""
        decoder, length = self._decoder, self._length()
        if decoder is None:
            return
        done = stage.have(self._files) - self._offset
        while done < length:
            piece = decoder.read(done, min(_CHUNK_BYTES, length - done))
            self._files.append(stage.BUNDLE, piece)
            done += len(piece)
        self._decoder = None
        remove(self._files)
        self._desk.grown()
