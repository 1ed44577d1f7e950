# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The test port of certification laboratories (TS009) on a node with a radio, under MicroPython, in simulated time.

micropython tests/upy/node_lora_ts009.py SCENARIO SEED      prints "ok" or a traceback
"""

from tests.upy.lora_world import LoraWorld  # noqa: I001  first: it sets the clock

import asyncio
import sys

from tests.upy.sim_time import clock

ADR_OFF = b"\x04\x00"
DUTY_CYCLE_OFF = b"\x05\x00"
DUTY_CYCLE_ON = b"\x05\x01"
EVERY_5_S = b"\x06\x01"
CARRIER_HZ = 869525000


def received(world, count):
    return lambda: len(world.server.readings) >= count


async def opened(seed, **changed):
    """A node in a session whose test port is open."""
    world = LoraWorld(seed, lorawan={"certification": True}, **changed)
    await world.until(received(world, 2), "a session")
    return world


async def tell(world, command):
    world.server.app = (224, command)
    await world.until(lambda: world.server.app is None, "an uplink that the command answers")
    await world.run_for(5)


async def scenario_certification_answers_on_its_port(seed):
    world = LoraWorld(seed, lorawan={"certification": True})
    await world.until(received(world, 2), "a session")
    answers = []
    world.server.on_port = lambda port, payload: answers.append((port, payload)) if port == 224 else None
    world.server.app = (224, b"\x08\x01\xff\x7f")
    await world.until(lambda: bool(answers), "the echo")
    assert answers[0] == (224, b"\x08\x02\x00\x80")
    world.server.app = (224, b"\x00")
    await world.until(lambda: len(answers) >= 2, "the version")
    assert answers[1] == (224, b"\x00\x06\x01")
    world.server.app = (224, b"\x06\x01")
    await world.until(lambda: world.layer.certification.period_s == 5, "the period")
    world.radio.uplinks.clear()
    await world.run_for(60)
    assert 9 <= len(world.radio.uplinks) <= 14, len(world.radio.uplinks)


async def scenario_without_certification_its_port_is_shut(seed):
    world = LoraWorld(seed)
    await world.until(received(world, 2), "a session")
    answers = []
    world.server.on_port = lambda port, payload: answers.append(port)
    world.server.app = (224, b"\x00")
    goal = len(world.server.readings) + 8
    await world.until(received(world, goal), "8 more readings")
    assert 224 not in answers


async def scenario_the_duty_cycle_can_be_switched_off_and_on(seed):
    """RegionalDutyCycleCtrlReq: at SF12 36 seconds of an hour are some twenty frames; without, hundreds."""
    world = await opened(seed, interval_ms=86400000)
    world.engine.dr = 0
    await tell(world, EVERY_5_S)
    await tell(world, DUTY_CYCLE_OFF)
    world.radio.uplinks.clear()
    await world.run_for(1200)
    used_us = sum(up.end_us - up.begun_us for up in world.radio.uplinks)
    assert used_us > 72000000, used_us
    await tell(world, DUTY_CYCLE_ON)
    world.radio.uplinks.clear()
    await world.run_for(1200)
    assert not world.radio.uplinks, "what was sent meanwhile counts"


async def scenario_a_carrier_goes_before_the_next_uplink(seed):
    """TxCwReq: seconds, frequency, power; booked as air time, refused outside the bands."""
    world = await opened(seed)
    world.layer.duty.enforced = False
    said = []
    radio = world.radio
    radio.carrier = "lorawan.carrier"  # stands for a driver's module: this has start() and end() of the fake's

    class Chip:
        start = staticmethod(lambda _radio, freq_hz, dbm: said.append((freq_hz, dbm, clock.now_us)))
        end = staticmethod(lambda _radio: said.append(clock.now_us))

    from firmware.node.lorawan import carrier

    class Lent:
        def __init__(self, _name):
            pass

        def __enter__(self):
            return Chip

        def __exit__(self, *_error):
            pass

    carrier.borrowed = Lent
    import firmware.node.links.lora as link

    class LentCarrier(Lent):
        def __enter__(self):
            return carrier

    link.borrowed = LentCarrier
    inits = radio.inits
    await tell(world, b"\x7d" + (8).to_bytes(2, "little") + (CARRIER_HZ // 100).to_bytes(3, "little") + b"\x0a")
    await world.until(lambda: len(said) == 2, "the carrier's end")
    (freq_hz, dbm, begun_us), ended_us = said
    assert (freq_hz, dbm) == (CARRIER_HZ, 10)
    assert 8000000 <= ended_us - begun_us < 8100000, ended_us - begun_us
    assert radio.inits == inits + 1
    assert world.layer.duty.used_ms(4) >= 8000
    goal = len(world.server.readings) + 4
    await world.until(received(world, goal), "4 more readings")
    for command in (b"\x7d", b"\x7d\x00\x00\xd8\xb2\x83\x0e", b"\x7d\x08\x00\x00\x00\x00\x0e"):
        await tell(world, command)
    assert len(said) == 2


async def scenario_copies_are_the_device_s_own_without_adr(seed):
    """NbTrans of a LinkADRReq is not obeyed while the ADR bit is off (TS001 section 4.3.1.1)."""
    world = await opened(seed)
    await tell(world, ADR_OFF)
    world.server.mac = b"\x03\xff\x07\x00\x03"  # rate and power as they are, three copies
    await world.until(lambda: not world.server.mac, "the request")
    await world.run_for(5)
    world.answer_in = 0
    world.radio.uplinks.clear()
    await world.run_for(600)
    frames = [up.data for up in world.radio.uplinks]
    assert len(frames) > 4 and len(set(frames)) == len(frames)


if __name__ == "__main__":
    asyncio.run(globals()["scenario_" + sys.argv[1]](int(sys.argv[2])))
    print("ok")
