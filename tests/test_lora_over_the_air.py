# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware on a virtual board with a radio chip, through the virtual air and a gateway, to a small network.

All of it in real time: what is tested is that windows which the node opens and moments at which a gateway sends agree.
"""

import asyncio
import re
from pathlib import Path

import pytest

from tests.radio_city import City

pytestmark = pytest.mark.apart


@pytest.mark.parametrize("window", [1, 2])
def test_a_board_joins_and_delivers_over_the_air(tmp_path: Path, window: int) -> None:
    async def live() -> None:
        async with City(tmp_path, window, {}) as city:
            await city.until(lambda: city.server.base >= 4, "4 readings, receipted")
            assert city.server.joins
            assert set(city.gateway.outcomes) == {"NONE"}
            late = re.findall(rb"window -?\d+ us late", city.text)
            assert len(late) <= 1, city.text
            print(city.text.decode())

    asyncio.run(live())


def test_a_board_with_the_other_radio_chip_joins_and_delivers(tmp_path: Path) -> None:
    """SX127x: join, uplinks, receipts in RX1, a downlink in RX2; window by symbols, end by interrupt."""

    async def live() -> None:
        async with City(tmp_path, 2, {}, {"board": "virtual_sx127x"}) as city:
            await city.until(lambda: city.server.base >= 4, "4 readings, receipted")
            assert set(city.gateway.outcomes) == {"NONE"}
            assert b"late" not in city.text

    asyncio.run(live())


def test_a_class_c_board_is_reached_at_any_time(tmp_path: Path) -> None:
    async def live() -> None:
        async with City(tmp_path, 1, {"class": "C"}) as city:
            await city.until(lambda: city.server.base >= 2, "2 readings, receipted")
            acks = city.server.acks
            session = city.server.session
            assert session is not None
            for _ in range(12):
                if city.server.acks == acks:
                    phy = session.seal_downlink(None, b"", confirmed=True)
                    city.gateway.send(phy, imme=True, freq=869.525, datr="SF12BW125")
                    uplinks = len(city.gateway.uplinks)
                    # Every second uplink is answered in RX1, where a call would meet the receipt: an odd number later
                    # it is the other one's turn.
                    await city.until(lambda: len(city.gateway.uplinks) >= uplinks + 3, "3 uplinks")  # noqa: B023
            assert city.server.acks > acks, city.text.decode(errors="replace")

    asyncio.run(live())
