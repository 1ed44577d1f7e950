# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How a class C board listens whenever it does nothing else (TS001 section 17). Loaded when the first session begins.

*link* is a ``lora.LoraLink`` throughout.
"""

import asyncio
import time

from micropython import const

from firmware.node.links import NOT_OURS
from firmware.node.radio import RadioError
from firmware.wire import region
from firmware.wire.airtime import time_on_air_us

_FRAME_OVERHEAD = const(13)
_REPAIR_MS = const(5000)


async def listen(link) -> None:
    """Task: class C reception, until the radio is needed for something else."""
    while True:
        try:
            await link.make_ready()
            where = link.layer.rx2()
            await _begin(link, where)
            while where == link.layer.rx2() and link.listens():
                link.hand_on(await link.radio.next_frame(), True)
            if not link.listens():
                link.listener = None
                return
        except RadioError as error:
            link.fault(error, False)
            await asyncio.sleep_ms(_REPAIR_MS)


async def listen_until(link, until_us) -> None:
    """Listen until then, and stop."""
    await _begin(link, link.layer.rx2())
    while time.ticks_diff(until_us, time.ticks_us()) >= 1000:
        link.hand_on(await _next_frame(link, until_us), True)
    link.radio.stop()


async def rx2(link, rx2_us, where: tuple[int, int]) -> int:
    """Listen on the parameters of RX2 without a break until the longest frame that began in it has ended.

    What began in the window is a class A downlink, the rest is class C (TS001 section 17).
    """
    sf, bw_hz, longest = region.DATA_RATES[where[1]]
    from_us = time.ticks_add(rx2_us, -2 * link.window_error_us)
    longest_us = time_on_air_us(sf, bw_hz, longest + _FRAME_OVERHEAD, crc=False)
    until_us = time.ticks_add(rx2_us, link.window_error_us + longest_us)
    await _begin(link, where)
    heard = NOT_OURS
    while heard == NOT_OURS:
        frame = await _next_frame(link, until_us)
        if frame is None:
            break
        began_us = time.ticks_add(frame.at_us, -time_on_air_us(sf, bw_hz, len(frame.data), crc=False))
        in_window = 0 <= time.ticks_diff(began_us, from_us) <= 4 * link.window_error_us
        was = link.hand_on(frame, not in_window)
        heard = was if in_window else NOT_OURS
    link.radio.stop()
    return heard


async def _begin(link, where: tuple[int, int]) -> None:
    sf, bw_hz, _ = region.DATA_RATES[where[1]]
    await link.radio.receive_continuous(where[0], sf, bw_hz)


async def _next_frame(link, until_us):
    left_ms = time.ticks_diff(until_us, time.ticks_us()) // 1000
    if left_ms <= 0:
        return None
    try:
        return await asyncio.wait_for_ms(link.radio.next_frame(), left_ms)
    except asyncio.TimeoutError:
        return None
