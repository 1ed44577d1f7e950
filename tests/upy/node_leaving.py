# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A person asks for the prompt while the lamp fades: the fade ends while the loop is there that it belongs to.

micropython tests/upy/node_leaving.py SEED      in a small heap; prints "ok" at the end. asyncio keeps its tasks in a
heap of its own; a task of a loop that is gone, cancelled then, points at what has been freed and written over since.
"""

import asyncio
import gc
import random
import sys

from firmware.node import start
from firmware.node.lamp.output import Lamp

random.seed(int(sys.argv[1]))


class Line:
    def value(self, _level):
        pass

    def duty_u16(self, _duty):
        pass


class Role:
    def __init__(self):
        self.lamp = Lamp(Line(), Line())

    def fail_safe(self):
        self.lamp.now(100)


async def other(every_ms):
    while True:
        await asyncio.sleep_ms(every_ms)


async def node(role):
    for _ in range(8):
        asyncio.create_task(other(random.randrange(1, 300)))  # noqa: RUF006  nobody holds them, as on the board
    role.lamp.go(random.randrange(1, 90), 20000)
    await asyncio.sleep_ms(random.randrange(1, 120))
    raise start.LeaveToRepl()


def write_over_what_is_free():
    kept = []
    try:
        while True:
            kept.append(b"\xff" * random.choice((40, 60, 90)))
    except MemoryError:
        pass
    for _ in range(30):
        kept.pop()
    return kept


def main():
    for _ in range(20):
        board = start.Board()
        board.role = role = Role()
        try:
            asyncio.run(node(role))
        except start.LeaveToRepl:
            pass
        start._prompt(board)
        kept = write_over_what_is_free()
        role.fail_safe()
        assert role.lamp.on and role.lamp._shown_pct == 100
        kept = None
        gc.collect()
        assert kept is None
    print("ok")


main()
