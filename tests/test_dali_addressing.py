# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Short addresses on a DALI bus with several gears: the shipped controller, simulated gear, IEC 62386-102."""

import random
from typing import Any

import pytest

from boards.virtual.models import dali_gear
from tests.sim_bench import Bench, play

GEARS = 5


def hang(bench: Bench, count: int, **changed: Any) -> list[Any]:
    """More gear on the bus of virtual_dali, and the one that was there."""
    there = bench.chips.models["dali_gear"]
    config = next(each for each in bench.board.models if each.model == "dali_gear")
    more = [
        dali_gear.Chip(
            dali_gear.Config.model_validate(config.model_dump() | changed),
            bench.chips.pins,
            bench.chips.buses,
            bench.environment,
        )
        for _ in range(count)
    ]
    return [there, *more]


def on_a_bus(count: int, seed: int, anew: bool, **changed: Any) -> list[int]:
    """The addresses after the command, of the gear that was there and of *count* more."""
    found: list[int] = []

    async def script(bench: Bench) -> None:
        gears = hang(bench, count, **changed)
        assert bench.role.command("address_gear", {"anew": anew}) == 0
        await bench.role.addressing
        found.extend(int(each.state()["address"]) for each in gears)
        assert {each.state()["level"] for each in gears} == {254}  # the light stays as it is

    play("virtual_dali", "street_light", "still", seed, script)
    return found


def test_gear_as_delivered_gets_the_addresses_that_are_free(seed: int) -> None:
    found = on_a_bus(GEARS, seed, False, addressed=False)
    assert found[0] == 0  # it had one, and keeps it
    assert sorted(found) == list(range(GEARS + 1))


def test_all_anew_ends_with_one_address_each(seed: int) -> None:
    """Even where two had the same."""
    assert sorted(on_a_bus(2, seed, True)) == [0, 1, 2]


def test_gear_that_draws_badly_is_not_mixed_up(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    draws = iter([0, 0xFFFFFF, 0x7FFFFF])
    monkeypatch.setattr(random.Random, "getrandbits", lambda self, bits: next(draws) if bits == 24 else 0)
    assert sorted(on_a_bus(2, seed, True)) == [0, 1, 2]


def test_a_light_without_dali_refuses(seed: int) -> None:
    async def script(bench: Bench) -> None:
        assert bench.role.command("address_gear", {}) != 0

    play("virtual", "street_light", "still", seed, script)
