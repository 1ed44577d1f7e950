# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""All of these run in real time: a join at SF12 alone may take a minute, on a busy machine more.

A window that opens late, and a frame that is lost on the way, are no fault of the device: a test that fails begins
again with a device just switched on, and pytest's summary names it. What fails three times is wrong.
"""

from pathlib import Path

import pytest

PATIENCE_S = 300
AGAIN = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=AGAIN))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(PATIENCE_S))
