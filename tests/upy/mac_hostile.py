# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The MAC engine on any downlinks, under CPython (imported by test_node_mac_hostile.py) and under MicroPython.

Each line of standard input is a life: a Join-Accept's DLSettings, RxDelay and CFList in hex, then the commands of one
downlink after the other, blanks between them. For each life a line is printed: what the engine answers and is.
"""

import json
import sys
from binascii import hexlify, unhexlify

from firmware.node.lorawan.mac_engine import MacEngine


def life(line):
    """Return what became of one engine, as JSON text."""
    join, *downlinks = [unhexlify(word) for word in line.split()]
    engine = MacEngine(-9)
    engine.adr_on = join[0] < 128
    engine.start(5, join[0], join[1], join[2:])
    seen = [shown(engine)]
    for commands in downlinks:
        engine.take_in(commands, -3)
        seen.append(shown(engine))
        engine.sent()
    return json.dumps(seen)


def shown(engine):
    """Return all that is seen of an engine."""
    state = [hexlify(each).decode() if isinstance(each, bytes) else each for each in engine.state()]
    return [hexlify(engine.pending(222)).decode(), state]


if __name__ == "__main__":
    for line in sys.stdin:
        print(life(line))
