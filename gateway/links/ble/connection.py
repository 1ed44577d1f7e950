# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One connected board: pieces into frames, frames into pieces, and when enough is enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from firmware.wire import segment
from gateway.errors import LinkBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.clock import Clock
    from gateway.links.ble.adapter import Channel
    from gateway.links.ble.peers import Peer

MAX_UNSENT_FRAMES = 16
_MAX_FAULTS = 64
"""Pieces that fit nothing: a bad radio link loses some, a stranger sends nothing else."""
_FRAMES_PER_S = 200
_UNPROVEN_FRAMES_PER_S = 20
"""While the gateway has answered nothing, the frames are perhaps nobody's, and each costs it some cryptography."""


def heed_cancel() -> None:
    """Raise CancelledError when this task was told to end and a library on the way kept that to itself.

    asyncio.wait_for of Python 3.11 does, when what it waits for ends at the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Connection:
    """From the attempt to connect until the end. ``count`` is told what happens, by name."""

    def __init__(self, peer: Peer, clock: Clock, count: Callable[[str, int], None]) -> None:
        self.peer = peer
        self.address = peer.sighting.address
        self.began_s = self.last_frame_s = clock.monotonic_s()
        self.frames = 0
        self.answered = False
        self.open = False
        self.settled = asyncio.Event()
        """Set when the attempt to connect has ended, one way or the other."""
        self.why = ""
        """Why it ended."""
        self._clock = clock
        self._count = count
        self._joined = segment.Reassembler()
        self._faults = 0
        self._cut = segment.Segmenter()
        self._unsent: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_UNSENT_FRAMES + 1)
        self._ending = False
        self._second_s, self._in_second = self.began_s, 0

    def end(self, why: str) -> None:
        """Let it end, after what is queued is written."""
        if not self._ending:
            self._ending, self.why = True, why
            self._unsent.put_nowait(None)  # there is always one place for it

    def gone(self) -> None:
        """The board or the adapter ended it: what is queued goes nowhere."""
        while not self._unsent.empty():
            self._unsent.get_nowait()
        self._ending = False
        self.end(self.why or "gone")

    def send(self, phy: bytes) -> None:
        """Queue a frame. Raises LinkBusy."""
        if self._ending or self._unsent.qsize() >= MAX_UNSENT_FRAMES:
            raise LinkBusy(f"{self.address}: {self._unsent.qsize()} frames wait for the board to take them")
        self._unsent.put_nowait(phy)
        self.answered = True

    async def serve(self, channel: Channel, heard: Callable[[bytes], None], alive_s: float) -> None:
        """Carry frames until the end. Raises BoardLost.

        After *alive_s* without a frame to the board it is asked whether it is there: when bluetoothd was restarted,
        nobody else says that it is not.
        """

        def notified(piece: bytes) -> None:
            frame = self._take(piece)
            if frame:
                heard(frame)

        await channel.subscribe(notified)
        self.open = True
        await self._write(channel, segment.READY)  # notifications sent before this would have been lost
        while (phy := await self._next(alive_s)) is not None:
            await self._write(channel, phy)
            heed_cancel()

    async def _next(self, alive_s: float) -> bytes | None:
        try:
            async with asyncio.timeout(alive_s):
                return await self._unsent.get()
        except TimeoutError:
            return segment.READY

    async def _write(self, channel: Channel, phy: bytes) -> None:
        for piece in list(self._cut.split(phy, channel.piece_bytes)):
            await channel.write(piece)

    def _take(self, piece: bytes) -> bytes | None:
        joined = self._joined
        before = joined.lost, joined.oversized, joined.malformed
        frame = joined.feed(piece)
        for name, was, now in zip(
            ("pieces_lost", "oversized", "pieces_malformed"),
            before,
            (joined.lost, joined.oversized, joined.malformed),
            strict=True,
        ):
            self._faults += now - was
            self._count(name, now - was)
        if self._faults > _MAX_FAULTS:
            self.end("babble")
            return None
        if not frame:
            return None
        if self._too_fast():
            self._count("too_fast", 1)
            return None
        self.frames += 1
        self.last_frame_s = self._clock.monotonic_s()
        return frame

    def _too_fast(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._second_s >= 1:
            self._second_s, self._in_second = now_s, 0
        self._in_second += 1
        return self._in_second > (_FRAMES_PER_S if self.answered else _UNPROVEN_FRAMES_PER_S)
