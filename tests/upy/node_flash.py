# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The node's stores on the real littlefs: the power goes at every single flash operation, one after the other.

micropython tests/upy/node_flash.py      prints how many cuts, then "ok" or a traceback
"""

import gc

from firmware.node.ecb import ecb
from firmware.node.mac import Mac
from firmware.node.queue import ReadingQueue
from firmware.node.segments import TIME_UNIX
from tests.upy.node_world import RamFlash, mount, settings
from tests.upy.small_network import Server

BLOCKS = 24


class Life:
    """What a board did that must never be undone or done again."""

    def __init__(self):
        self.server = Server()
        self.made = {}
        self.sent = {}
        self.fcnts = set()

    def live(self, files, readings):
        mac, queue = boot(files)
        for record in queue.read(0, queue.next_seq):
            assert self.sent.setdefault(record.seq, record.body) == record.body, "a number stands for two readings"
        if mac.session is None:
            request = mac.join_request()
            mac.accept(self.server.uplink(request)[0])
        for _ in range(readings):
            body = b"reading %d" % len(self.sent)
            seq = queue.append(1, TIME_UNIX, len(self.sent), body)
            assert seq not in self.sent, "a number was given twice"
            assert seq == len(self.sent) + 1, "a number was left out: the gateway would call it lost"
            self.sent[seq] = self.made[seq] = body
            self._send(mac)
        receipted = queue.oldest + 2
        self.made = {seq: self.made[seq] for seq in self.made if seq > receipted}
        queue.release(receipted, [])
        self._send(mac)

    def _send(self, mac):
        fcnt = (mac.session.dev_addr, mac.session.fcnt_up)
        refused = self.server.refused
        self.server.uplink(mac.seal(None, b""))
        assert self.server.refused == refused
        assert fcnt not in self.fcnts, "a frame counter was used twice"
        self.fcnts.add(fcnt)
        mac.open(self.server.session.seal_downlink(4, b"y"))

    def check(self, files):
        queue = boot(files)[1]
        held = {record.seq: record.body for record in queue.read(0, queue.next_seq)}
        lost = [seq for seq in self.made if held.get(seq) != self.made[seq]]
        assert len(lost) <= queue.dropped, (lost, queue.dropped)


def boot(files):
    """As the node does: the counters first, so that a queue without them means that they were lost."""
    mac = Mac(files, settings(), ecb, bool(files.names("queue")))
    return mac, ReadingQueue(files, "queue", 4096, 1024)


def main():
    cut = 0
    content = RamFlash(BLOCKS).content
    while True:
        gc.collect()
        for i in range(0, len(content), 1024):
            content[i : i + 1024] = b"\xff" * 1024
        flash = RamFlash(content=content)
        files = mount(flash)
        life = Life()
        flash.writes = 0
        flash.cut = cut
        try:
            life.live(files, 30)
            life.live(files, 30)
        except OSError:
            pass
        through = flash.writes <= cut
        flash.cut = None
        files = mount(flash, False)
        life.check(files)
        life.live(files, 3)  # and it goes on as if nothing had been
        life.check(files)
        if through:
            break
        cut += 1
    print("%d cuts" % cut)
    assert cut > 100
    print("ok")


main()
