# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What surrounds a node in its tests under MicroPython: flash in memory, a pipe that loses frames, a small network."""

import asyncio
import os

import vfs

from firmware.node import boots, config, identity, log
from firmware.node.app import Node
from firmware.node.files import Files
from firmware.wire import cbor
from tests.upy.small_network import KEY, Server

REPLY_TIMEOUT_MS = 10

log.enable(False)


class Random:
    """Small, seeded, the same under every interpreter (Numerical Recipes' 32-bit generator)."""

    def __init__(self, seed):
        self._state = seed & 0xFFFFFFFF

    def below(self, end):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) % end

    def chance(self, percent):
        return self.below(100) < percent


class RamFlash:
    """A block device. Of the *cut*-th write half is stored, and nothing after it: the power is gone."""

    def __init__(self, blocks=64, block_bytes=4096, content=None):
        self.content = content or bytearray(b"\xff" * (blocks * block_bytes))
        self.cut = None
        self.writes = 0
        self._block_bytes = block_bytes

    def readblocks(self, block, buf, offset=0):
        start = block * self._block_bytes + offset
        buf[:] = self.content[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        start = block * self._block_bytes + offset
        self.content[start : start + self._stored(len(buf))] = buf[: self._stored(len(buf))]
        return self._done()

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.content) // self._block_bytes
        if op == 5:
            return self._block_bytes
        if op == 6:
            start = arg * self._block_bytes
            size = self._stored(self._block_bytes)
            self.content[start : start + size] = b"\xff" * size
            return self._done()
        return 0

    def _stored(self, size):
        if self.cut is None or self.writes < self.cut:
            return size
        return size // 2 if self.writes == self.cut else 0

    def _done(self):
        self.writes += 1
        return -5 if self.cut is not None and self.writes > self.cut else 0


def mount(flash, form=True, at="/data", folder=""):
    """Return Files in *folder* of littlefs on *flash*, which is mounted *at* a place."""
    try:
        vfs.umount(at)
    except OSError:
        pass
    if form:
        vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash, progsize=256, readsize=256), at)
    return Files(at + folder)


def folders(path):
    """Make the folders above a path."""
    at = path.find("/", 1)
    while at >= 0:
        try:
            os.mkdir(path[:at])
        except OSError:  # it is there
            pass
        at = path.find("/", at + 1)


def settings(**changed):
    values = {
        "dev_eui": b"\x02\x00\x00\x00\x00\x00\x00\x01",
        "join_eui": b"\x02\x00\x00\x00\x00\x00\x00\x02",
        "app_key": KEY,
        "kind": "street_light",
        "link": "test",
        "console": True,
        "interval_ms": 50,
        "receipt_every": 4,
        "queue_bytes": 65536,
        "board": {},
    }
    values.update(changed)
    identity.check(values)
    return config.Config(values)


class Role:
    """Every measurement is another one, so that a number which stands for two of them shows."""

    def __init__(self, first=0):
        self.made = first

    def control(self):
        pass

    async def measure(self):
        self.made += 1
        return {"lamp_on": True, "dim_pct": 100, "energy_wh": self.made}


class Pipe:
    """A link to *server*; *mangle_up* and *mangle_down* turn a frame into the list of frames that arrive."""

    max_payload = 222
    reply_timeout_ms = REPLY_TIMEOUT_MS

    def __init__(self, server):
        self.server = server
        self.on_heard = None
        self.unsent = 0
        self.sent = []  # lengths
        self.mangle_up = lambda phy: [phy]
        self.mangle_down = lambda phy: [phy]
        self.arrived = []
        self._flag = asyncio.Event()

    async def send(self, phy):
        self.sent.append(len(phy))
        for frame_up in self.mangle_up(phy):
            for answer in self.server.uplink(frame_up):
                self.put(answer)
        await asyncio.sleep_ms(0)  # on a slow computer the time-outs are over before the answer is taken in

    def put(self, phy):
        self.arrived.extend(self.mangle_down(phy))
        self._flag.set()

    async def receive(self):
        while not self.arrived:
            self._flag.clear()
            await self._flag.wait()
        return self.arrived.pop(0)


class World:
    """A node, its link, its network."""

    def __init__(self, seed=1, server=None, files=None, role=None, **changed):
        self.random = Random(seed)
        self.files = files or mount(RamFlash())
        self.server = server or Server()
        self.link = Pipe(self.server)
        self.role = role or Role()
        self.node = Node(self.files, settings(**changed), self.role, self.link, None, boots.facts(self.files))

    async def until(self, condition, what, timeout_ms=60000):
        """Let the node work until *condition()*. The time-out only keeps a broken test from running for ever."""
        task = asyncio.create_task(self.node.run())
        try:
            for _ in range(timeout_ms // 5):
                if condition():
                    return
                await asyncio.sleep_ms(5)
            raise AssertionError("never: " + what)
        finally:
            await stop(self.node, task)

    def check(self):
        """What must hold in every world."""
        server = self.server
        assert not server.conflicts, server.conflicts
        assert len(set(server.fcnts)) == len(server.fcnts), "frame counter used twice"
        assert len(set(server.joins)) == len(server.joins), "DevNonce used twice"
        held = {record.seq for record in self.node.queue.read(0, self.node.queue.next_seq)}
        bodies = list(server.readings.values())
        bodies += [cbor.loads(record.body) for record in self.node.queue.read(0, self.node.queue.next_seq)]
        told = {item[6] for item in bodies if 6 in item}  # the others tell about the board itself
        assert told == set(range(1, self.role.made + 1)), (sorted(told), self.role.made)
        return held


class _Stopped(Exception):
    pass


async def stop(node, task):
    node._end(_Stopped())
    try:
        await task
    except _Stopped:
        pass
    await asyncio.sleep_ms(0)  # let the cancelled tasks end
