# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The node on the emulated Cortex-M: every part is loaded from flash into the heap, as on a board that is not frozen.
import asyncio
import gc
from binascii import unhexlify

from firmware.node.files import Files
from firmware.node.log import enable


def say(what):
    gc.collect()
    print("heap after %s: %d used, %d free" % (what, gc.mem_alloc(), gc.mem_free()))


class Deaf:
    """A link whose other end is silent: readings stay in flash."""

    max_payload = 51
    reply_timeout_ms = 500

    def __init__(self):
        self.on_heard = None
        self.unsent = 0
        self.sent = 0

    async def send(self, phy):
        self.sent += 1

    async def receive(self):
        await asyncio.sleep(1000)


def the_kind():
    """What the host has written for this run: kind, board, settings that hold, and one of them that does not."""
    from firmware.wire import cbor

    with open("/kind.cbor", "rb") as file:
        return cbor.loads(file.read(), max_depth=8, max_items=256)


IDENTITY = {
    "dev_eui": b"\x02\0\0\0\0\0\0\x01",
    "join_eui": b"\x02\0\0\0\0\0\0\x02",
    "app_key": b"0123456789abcdef",
    "console": False,
    "interval_ms": 100,
    "receipt_every": 8,
    "queue_bytes": 65536,
}


def wire():
    """Frames of the host's own implementation, sealed and opened with the AES that such a board has."""
    from firmware.node.ecb import ecb
    from firmware.wire.session import Session

    with open("/wire.txt") as file:
        lines = [unhexlify(line.strip()) for line in file]
    device = Session(ecb, 0x26000001, b"n" * 16, b"a" * 16)
    for number in range(3):
        assert device.seal_uplink(1, b"reading %d" % number) == lines[number], "an uplink differs from the host's"
        assert device.open_downlink(lines[3 + number]).payload == b"receipt %d" % number
    try:
        device.open_downlink(lines[5][:-1] + b"\0")
    except ValueError:
        return
    raise AssertionError("a frame with a wrong code was opened")


def settle(service, kind):
    good, bad, name = kind["settings"]
    assert service.settings.apply(good)[0] == 0
    assert service.settings.apply(bad)[0] != 0
    assert service.settings[name] == good[min(good)]


def the_link(settings):
    """Return a link whose other end is silent; a radio has a session, and no answers."""
    if settings.link == "deaf":
        return Deaf()
    from firmware.node.links import open_link

    return open_link(settings.link, settings)


async def on_air(link):
    """Wait until a radio has joined, sent frames in the session and listened after them."""
    for _ in range(1200):
        if link.layer.has_session() and link.windows >= 2:  # of the join, and of an uplink
            await asyncio.sleep_ms(3000)
            return
        await asyncio.sleep_ms(50)
    raise AssertionError("%d windows, session: %s" % (link.windows, link.layer.has_session()))


async def main():
    from firmware.node import config
    from firmware.node.lazy import borrowed
    from firmware.node.roles import open_role

    gc.threshold(4096)  # as firmware.node.start does while it loads
    say("nothing")
    enable(False)
    files = Files("/data")
    kind = the_kind()
    for name in ("kind", "link", "board"):
        IDENTITY[name] = kind.pop(name)
    settings = config.Config(IDENTITY)
    role = open_role(settings.kind, settings.board, files)
    with borrowed("boots", "wire.kinds.common") as boots:
        facts = boots.facts(files)
    assert facts[5] > 0, "the code's hash"
    say("the role")
    from firmware.node.app import Node

    say("loading")
    node = Node(files, settings, role, the_link(settings), None, facts)
    say("opening")
    task = asyncio.create_task(node.run())
    count = kind["readings"]
    for _ in range(2000):
        if node.queue.next_seq >= count:
            break
        await asyncio.sleep_ms(50)
    assert node.queue.next_seq >= count, (node.queue.next_seq, role.failures)
    if settings.link != "deaf":
        await on_air(node.service.link)
    settle(node.service, kind)
    assert await node.service.self_test()
    before = node.queue.next_seq
    await node.service.make_report()
    assert node.queue.next_seq > before + 1, "the report about the board"
    kept = [record.seq for record in node.queue.read(1, count)]
    assert kept == list(range(1, count)), kept
    assert not role.failures, role.failures
    say("the readings")
    task.cancel()
    wire()
    say("frames")
    print("trial: ok")


asyncio.run(main())
