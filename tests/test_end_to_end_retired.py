# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A device is retired while its board sends: the running gateway refuses it from then on."""

from pathlib import Path

import pytest

from tests.city import City, wait_until
from tests.conftest import Mosquitto

pytestmark = pytest.mark.apart


def test_a_retired_device_is_heard_no_more(tmp_path: Path, mosquitto: Mosquitto, seed: int) -> None:
    city = City(tmp_path, mosquitto.port, seed=seed)
    try:
        city.start_gateway()
        city.start_board()
        wait_until(lambda: city.stats()["durable"] >= 2, "two readings on disk")
        city.lykta("retire", city.dev_eui)
        city.wait_for_log("gateway", f"{city.dev_eui} is retired")
        wait_until(lambda: city.counted("refused", "retired_device") > 0, "the refusal's count")
        city.lykta("board", "make", city.dev_eui, str(tmp_path / "again.image"), code=1)
        city.lykta("log", "verify")
    finally:
        city.close()
