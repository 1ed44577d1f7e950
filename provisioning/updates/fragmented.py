# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A bundle on its way to a board by radio, in fragments of LoRaWAN TS004: what is sent next follows from its answers.

The bundle goes in pieces of at most ``MOST_FRAGMENTS`` fragments, each a session of its own: so a board needs little
memory, and what is lost of one piece is repaired by coded fragments before the next begins. A piece is announced and
asked for in one frame; a board that has some of it already keeps that. So nothing needs to be remembered here either.
"""

from __future__ import annotations

from typing import Final

from firmware.wire import fragments
from provisioning.updates.fragmenter import Fragmenter

MOST_FRAGMENTS: Final = 128
"""Of which a board may lack half."""
BURST: Final = 12
"""Fragments before a board is asked how far it is; so many of its queue's sixteen places they take."""
HEAD_BYTES: Final = 3
_MAX_SIZE: Final = 255
_UNHEARD: Final = 3
_INDEX: Final = 0
_MUCH: Final = 64
"""A board that lacks more did not take the rest."""


class Fragmented:
    """*session*: the two bytes by which the update is named."""

    def __init__(self, session: bytes, bundle: bytes) -> None:
        self._session = session
        self._bundle = bundle
        self._offset = -1
        self._piece: Fragmenter | None = None
        self._length = 0
        self._next = 1
        self._coded = 0
        self._fresh = True
        self._announced = 0
        self.have = 0
        """Bytes that the board has, as far as it told."""
        self.problem = ""
        """Why it does not take it."""

    @property
    def unheard(self) -> bool:
        """Whether nothing answered to several announcements: this board takes blocks only."""
        return self._announced >= _UNHEARD

    def begin(self, have: int, room: int) -> list[bytes]:
        """Announce the piece behind the *have* bytes that are there, and ask how far it is; *room* bytes a frame."""
        piece = self._piece
        if piece is None or have != self._offset or piece.size + HEAD_BYTES > room:
            piece = self._cut(have, min(room - HEAD_BYTES, _MAX_SIZE))
        self._announced += 1
        descriptor = self._session + (have & 0xFFFF).to_bytes(2, "little")
        setup = fragments.setup_req(_INDEX, piece.count, piece.size, piece.padding, descriptor)
        return [setup + fragments.status_req(_INDEX)]

    def heard(self, payload: bytes, room: int) -> list[bytes] | None:
        """What is sent because the board said this; None: ask it how far the update is. Raises wire Malformed."""
        told: tuple[int, int] | None = None
        for cid, body in fragments.parse(payload, up=True):
            if cid == fragments.SETUP_CID and body[0] & 0xF:
                self.problem = "no room" if body[0] & fragments.NO_MEMORY else ""
                return None  # where it is after all is in its status
            if cid == fragments.STATUS_CID:
                index, received, missing, _ = fragments.decode_status_ans(body)
                told = (received, missing) if index == _INDEX else told
        if told is None or self._piece is None:
            return []
        self._announced = 0
        return self._after(*told, self._piece, room)

    def _cut(self, have: int, size: int) -> Fragmenter:
        left = -(-(len(self._bundle) - have) // size)
        pieces = -(-left // MOST_FRAGMENTS)
        block = self._bundle[have : have + -(-left // pieces) * size]
        self._offset, self._length, self.have = have, len(block), have
        self._next, self._coded, self._fresh = 1, 0, True
        self._piece = Fragmenter(block, size)
        return self._piece

    def _after(self, received: int, missing: int, piece: Fragmenter, room: int) -> list[bytes] | None:
        end = self._offset + self._length
        if missing == 0:
            self.have = end
            if end == len(self._bundle):
                return None
            return self.begin(end, room)
        self.have = min(end, self._offset + max(0, piece.count - missing) * piece.size)
        if piece.size + HEAD_BYTES > room:
            return self.begin(self._offset, room)
        if self._fresh:  # of what came before this process began nobody knows which
            self._fresh, self._next, self._coded = False, min(received, piece.count) + 1, received
        elif self._next > piece.count and missing > _MUCH:
            self._next = piece.count - missing + 1 if missing <= piece.count else 1
        numbers = self._numbers(piece.count, missing)
        return [fragments.data(_INDEX, each, piece.fragment(each)) for each in numbers] + [fragments.status_req(_INDEX)]

    def _numbers(self, count: int, missing: int) -> list[int]:
        if self._next <= count:
            first, self._next = self._next, min(self._next + BURST, count + 1)
            return list(range(first, self._next))
        if count == 1:
            return [1]  # no coded fragment tells anything of one
        many = min(BURST, missing + 1 + missing // 8)
        first = self._coded
        self._coded += many
        return [count + 1 + each % (fragments.MAX_FRAGMENTS - count) for each in range(first, first + many)]
