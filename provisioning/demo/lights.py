# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The boards of the demo: register them, make their flash, look into it when they are switched off."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioning.city import City
from provisioning.demo.flash import FlashQueue, read_queue
from provisioning.demo.plan import KINDS, BoardPlan, Plan
from provisioning.demo.processes import Child
from provisioning.images import board_command, default_board, make_board_image

_AT_ONCE: Final = 4  # flash images in the making; each is a short process or two
_SCENARIO: Final = "demo"  # a day in minutes, so that there is something to see


@dataclass(frozen=True)
class Light:
    """One board: who it is and where its files are."""

    number: int
    name: str
    dev_eui: bytes
    image: Path
    port: Path
    board: str
    plan: BoardPlan

    def command(self, options: Sequence[str]) -> list[str]:
        """The command that runs it."""
        extra = ["--board", self.board, "--scenario", _SCENARIO, "--seed", str(self.number), *options]
        return board_command(self.image, self.port, extra)


def make_lights(city: City, home: Path, plan: Plan) -> list[Light]:
    """Register the plan's boards and make an image for each."""
    lights = []
    with city.registry() as registry:
        for number, member in enumerate(plan.members, 1):
            name = "board" if plan.devices == 1 else f"board-{number}"
            device = registry.register_device(member.kind, name=f"demo {KINDS[member.kind]} {number}", owner="demo")
            image, port = home / f"{name}.image", home / f"{name}.tty"
            board = default_board(member.kind, member.link)
            lights.append(Light(number, name, device.dev_eui, image, port, board, member))

    def make(light: Light) -> None:
        make_board_image(
            city,
            light.dev_eui,
            light.image,
            board=light.board,
            link=light.plan.link,
            interval_ms=round(1000 * light.plan.interval_s),
            receipt_every=light.plan.receipt_every,
        )

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(make, lights))
    return lights


def read_queues(lights: Sequence[Light]) -> dict[str, FlashQueue]:
    """What each board that is switched off holds, by DevEUI. Raises BoardError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        queues = list(pool.map(lambda light: read_queue(light.image, light.board), lights))
    return {light.dev_eui.hex(): queue for light, queue in zip(lights, queues, strict=True)}


def switch_off(boards: Sequence[Child], timeout_s: float) -> None:
    """Ask all to end, then see to it."""
    for board in boards:
        board.ask()
    for board in boards:
        board.stop(timeout_s)
