# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Each driver of a magnetometer against its simulated chip: the earth's field, and a chip that is not there."""

import importlib
from types import ModuleType
from typing import Any

import pytest

from boards.virtual.models import _field, qmc5883l, rm3100
from tests.sim_bench import Bench, play

CHIPS = {"qmc5883l": (qmc5883l, 0x0D), "rm3100": (rm3100, 0x22)}


@pytest.mark.parametrize("name", CHIPS)
def test_it_reads_the_field_and_says_when_it_cannot(name: str) -> None:
    model, address = CHIPS[name]
    made: ModuleType = model

    async def script(bench: Bench) -> None:
        config = made.Config.model_validate({"model": name, "i2c": 0, "address": address, "place_m": 50_000.0})
        made.Chip(config, bench.chips.pins, bench.chips.buses, bench.environment)
        devices = bench.chips.buses.i2c[0].devices
        board: dict[str, Any] = bench.board.node.as_map() | {"sensors": [{"chip": name, "address": address}]}
        opening = importlib.import_module("firmware.node.sensors._opening")
        ((_, use, driver),) = opening.open_sensors(board)
        assert use == "field"
        bench.environment.hold("temperature_c", 20.0)
        for axis, true_nt in zip(driver.field_nt(), _field._EARTH_NT, strict=True):
            assert axis == pytest.approx(true_nt, abs=1000)
        gone = devices.pop(address)
        with pytest.raises(OSError, match=r"\d"):
            driver.field_nt()
        devices[address] = gone
        assert driver.field_nt()[2] < 0  # found again, and set up again

    play("virtual_traffic_field", "traffic", "still", 3, script)
