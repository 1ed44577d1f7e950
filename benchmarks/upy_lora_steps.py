# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Runs under MicroPython for bench_heap.py: time and garbage of a join, an uplink, a downlink, all in LoRaWAN's layer.

Prints one line per step: name, microseconds (median), bytes it leaves for the collector. What is written goes nowhere:
the flash of a board takes a time of its own. Code that a board borrows stays loaded: here it would be compiled each
time, and a board has it as bytecode.
"""

import gc
import time

from firmware.node import lazy


class Kept:
    """``lazy.borrowed`` without giving anything back."""

    def __init__(self, name, *_also):
        self._module = __import__("firmware.node." + name, None, None, ["__name__"])

    def __enter__(self):
        return self._module

    def __exit__(self, *_error):
        pass


lazy.borrowed = Kept  # before anything takes it from there

from firmware.node.ecb import ecb  # noqa: E402
from firmware.node.lorawan.layer import Layer  # noqa: E402
from firmware.node.mac import Mac  # noqa: E402
from firmware.wire.crypto import cmac  # noqa: E402
from tests.upy.node_world import settings  # noqa: E402
from tests.upy.small_network import KEY, Server  # noqa: E402

ROUNDS = 15
PAYLOAD = bytes(30)


class NoFlash:
    """The interface of files.Files, as far as records need it; nothing is ever there."""

    def read(self, name):
        return None

    def write(self, name, data):
        pass


def measure(step):
    """Return (microseconds, bytes, result) of one call."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    begun = time.ticks_us()
    result = step()
    took_us = time.ticks_diff(time.ticks_us(), begun)
    size = gc.mem_alloc() - before
    gc.enable()
    return took_us, size, result


def main():
    figures = {}

    def note(name, step):
        took_us, size, result = measure(step)
        figures.setdefault(name, []).append((took_us, size))
        return result

    mac = Mac(NoFlash(), settings(), ecb, False)
    layer = Layer({})
    layer.attach(mac, time.ticks_ms)
    server = Server()
    for _ in range(ROUNDS):
        phy = note("join_request", mac.join_request)
        accept = server.uplink(phy)[0]
        note("join_accept", lambda: mac.accept(accept, layer.joined))  # noqa: B023
        for _ in range(4):
            server.uplink(note("uplink", lambda: layer.seal(10, PAYLOAD, b"")))
            down = server.session.seal_downlink(10, PAYLOAD)
            received = note("downlink", lambda: mac.open(down))  # noqa: B023
            note("downlink_obeyed", lambda: layer.received(received, 5, False))  # noqa: B023
    for _ in range(ROUNDS):
        note("cmac", lambda: cmac(ecb(KEY), bytes(51)))
    for name in ("cmac", "join_request", "join_accept", "uplink", "downlink", "downlink_obeyed"):
        later = figures[name][1:]  # the first time is the one that loads code
        times = sorted(took for took, _ in later)
        print(name, times[len(times) // 2], max(size for _, size in later))


main()
