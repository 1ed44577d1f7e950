# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The shipped firmware on a virtual board with a radio chip, through the virtual air and a gateway, to a small network.

What is tested is that windows which the node opens and moments at which a gateway sends agree, in stepped time;
in real time tests/test_end_to_end_lora.py does it.
"""

from pathlib import Path

import pytest

from boards.virtual import stepped
from tests.radio_city import City

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]


@pytest.mark.parametrize("window", [1, 2])
def test_a_board_joins_and_delivers_over_the_air(tmp_path: Path, window: int) -> None:
    async def live() -> None:
        async with City(tmp_path, window, {}) as city:
            await city.until(lambda: city.server.base >= 4, "4 readings, receipted")
            assert city.server.joins
            assert "NONE" in city.gateway.outcomes

    stepped.run(live())


def test_a_board_with_the_other_radio_chip_joins_and_delivers(tmp_path: Path) -> None:
    """SX127x: join, uplinks, receipts in RX1, a downlink in RX2; window by symbols, end by interrupt."""

    async def live() -> None:
        async with City(tmp_path, 2, {}, {"board": "virtual_sx127x"}) as city:
            await city.until(lambda: city.server.base >= 4, "4 readings, receipted")
            assert "NONE" in city.gateway.outcomes

    stepped.run(live())


@pytest.mark.parametrize("after_uplink_ms", [1300, 2300], ids=["between_the_windows", "after_the_windows"])
def test_a_class_c_board_is_reached_outside_its_windows(tmp_path: Path, after_uplink_ms: int) -> None:
    """Not before RX1: at SF12 the shortest frame takes 991 ms. Nor with ``imme``, sent a second later:
    it would begin with RX1, whose window at SF11 or SF12 hides the preamble, always.

    Nothing but the calls is sent, so that they meet no other downlink; each is scheduled on the gateway's own clock.
    """

    async def live() -> None:
        async with City(tmp_path, 1, {"class": "C"}) as city:
            await city.until(lambda: city.server.base >= 2, "2 readings, receipted")
            city.server.receipts = city.server.times = False
            acks = city.server.acks
            session = city.server.session
            assert session is not None
            for _ in range(5):  # by an answer that was on its way, or by a board that the machine has held up
                uplinks = len(city.gateway.uplinks)
                await city.until(lambda: len(city.gateway.uplinks) > uplinks, "an uplink")  # noqa: B023
                if city.server.acks > acks:
                    break
                phy = session.seal_downlink(None, b"", confirmed=True)
                moment = (city.gateway.uplinks[-1]["tmst"] + 1000 * after_uplink_ms) & 0xFFFFFFFF
                city.gateway.send(phy, tmst=moment, freq=869.525, datr="SF12BW125")
            assert city.server.acks > acks, city.text.decode(errors="replace")

    stepped.run(live())
