# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""An alarm of a role on a virtual board, over either link: it comes between two readings, confirmed."""

import asyncio
from pathlib import Path

import pytest

from boards.virtual import stepped
from tests.node_rig import Rig, identity, identity_files, make
from tests.radio_city import City

pytestmark = [pytest.mark.apart, pytest.mark.timeout(300)]
SECONDS = 12
ROLE = b"""
class Role:
    def __init__(self):
        self.seconds = 0
    def control(self):
        self.seconds += 1
        if self.seconds == %d:
            self.alarm()
    async def measure(self):
        return {"lamp_on": self.seconds < %d}
    def fail_safe(self):
        pass
def open_role(board, files):
    return Role()
"""
FILES = {"/firmware/node/roles/street_light.py": ROLE % (SECONDS, SECONDS)}
NEVER_MS = 86_400_000


def test_an_alarm_over_the_serial_line(tmp_path: Path) -> None:
    async def live() -> None:
        image = make(tmp_path, identity_files(identity(interval_ms=NEVER_MS)) | FILES)
        async with Rig(image) as rig:
            await rig.until(lambda: bool(rig.server.alarms), "an alarm")
            (number,), confirmed = rig.server.alarms[0]
            assert confirmed
            assert rig.server.readings[number][3] is False

    asyncio.run(live())


def test_an_alarm_over_the_air(tmp_path: Path) -> None:
    async def live() -> None:
        async with City(tmp_path, files=FILES, interval_ms=NEVER_MS) as city:
            await city.until(lambda: bool(city.server.alarms) and city.server.base >= 2, "a receipted alarm")
            (number,), confirmed = city.server.alarms[0]
            assert confirmed
            assert city.server.readings[number][3] is False

    stepped.run(live())
