# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa with Bluetooth when a gateway is near: the link changes, the session, the counters and the readings do not."""

import asyncio
from pathlib import Path

import pytest
from bumble.device import Advertisement

from firmware.wire import gatt
from firmware.wire.segment import READY, Segmenter
from tests.ble_air_rig import BOARD, Central, Gateway, ble_air, hint_of
from tests.radio_city import City


async def _pretend(stranger: Central) -> None:
    """Say READY, answer nothing, until the board has enough of it."""
    peer = await stranger.connect()
    await peer.subscribe()
    for piece in Segmenter().split(READY, 20):
        await peer.write(piece)
    await peer.until_gone()


def _waits(seen: Advertisement) -> bool:
    return bool(gatt.flags_of(hint_of(seen) or b"") & gatt.WAITING)


@pytest.mark.apart
@pytest.mark.timeout(600)
def test_the_way_changes_and_nothing_is_lost_or_used_twice(tmp_path: Path) -> None:
    async def live() -> None:
        async with ble_air(tmp_path) as (_, air):
            board = {"board": BOARD, "ble_air": air, "heap_bytes": 320 * 1024}
            async with City(tmp_path, 1, None, board, link="lora_ble", interval_ms=1500) as city:
                server = city.server
                await city.until(lambda: server.base >= 2, "receipts over LoRa")
                joins = list(server.joins)
                async with Central(air) as central:
                    central.wanted = _waits  # a gateway leaves those alone that have nothing to say
                    async with Gateway(central, server) as gateway:
                        await gateway.until(lambda: gateway.frames >= 3, "frames over Bluetooth")
                        on_air = len(city.gateway.uplinks)
                        await gateway.until(lambda: gateway.frames >= 5, "more of them")
                        assert len(city.gateway.uplinks) <= on_air + 1  # one may have been on its way
                        before = server.base
                await city.until(lambda: server.base >= before + 2, "receipts over LoRa again")
                near = []
                for number in (2, 3):  # the second under another address: it is not believed any more
                    async with Central(air, number) as stranger:
                        await _pretend(stranger)
                    near.append(city.text.count(b"a gateway is near"))
                before = server.base
                await city.until(lambda: server.base >= before + 2, "receipts after a stranger")
                assert near[0] == near[1] == city.text.count(b"a gateway is near") > 1
                assert server.joins == joins
                assert not server.conflicts
                assert len(set(server.fcnts)) == len(server.fcnts)
                assert server.refused == 0
                assert sorted(server.readings)[: server.base] == list(range(1, server.base + 1))

    asyncio.run(live())
