# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A node on a radio among strangers: what was on air once comes again. Under MicroPython, in simulated time.

micropython tests/upy/node_lora_hostile.py SCENARIO SEED      prints "ok" or a traceback
"""

from tests.upy.lora_world import LoraWorld  # noqa: I001  first: it sets the clock

import asyncio
import sys

from firmware.wire import macnetwork
from tests.upy.sim_time import clock


def received(world, count):
    return lambda: len(world.server.readings) >= count


async def overheard(world):
    """Let the node join, get receipts and be told things; return all that came down."""
    kept = []

    def listen(phy):
        kept.append(phy)
        return phy

    world.mangle_down = listen
    await world.until(received(world, 2), "a session")
    for commands in (macnetwork.link_adr_req(4, 2, 0b111), macnetwork.link_adr_req(3, 1, 0b011)):
        world.server.mac = commands + macnetwork.dev_status_req()
        await world.until(lambda: not world.server.mac, "the request")
    world.server.app = (3, b"\xa0")
    await world.until(received(world, 12), "12 readings")
    world.mangle_down = lambda phy: phy
    assert len(kept) >= 5
    return kept


async def goes_on(world):
    """The session that was there is there still."""
    goal = len(world.server.readings) + 8
    await world.until(received(world, goal), "8 more readings")
    assert len(world.server.joins) == 1
    assert not world.server.conflicts


async def scenario_old_downlinks_in_its_windows_change_nothing(seed):
    world = LoraWorld(seed)
    kept = await overheard(world)
    before, refused = world.engine.state(), world.node.network.refused
    assert (world.engine.dr, world.engine.tx_power) == (3, 1)
    world.mangle_down = lambda phy: kept[world.random.below(len(kept))]
    for world.answer_in in (1, 2):
        await world.run_for(900)
    assert world.engine.state() == before
    assert world.node.network.refused >= refused + 4
    world.answer_in, world.mangle_down = 1, lambda phy: phy
    await goes_on(world)


async def scenario_old_downlinks_at_any_time_change_nothing(seed):
    world = LoraWorld(seed, lorawan={"class": "C"})
    kept = await overheard(world)
    before, refused, acks = world.engine.state(), world.node.network.refused, world.server.acks
    for _ in range(100):
        phy = kept[world.random.below(len(kept))]
        world.radio.send_down(clock.now_us + 100000, *world.layer.rx2(), phy)
        await world.run_for(5 + world.random.below(5))
    assert world.engine.state() == before
    assert world.node.network.refused >= refused + 50
    assert world.server.acks == acks
    await goes_on(world)


if __name__ == "__main__":
    asyncio.run(globals()["scenario_" + sys.argv[1]](int(sys.argv[2])))
    print("ok")
