# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How much of its heap a board with a radio, or with Bluetooth, uses at work, from its own status lines."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boards.schema import load_board
from boards.virtual import stepped
from tests.ble_air_rig import BOARD, Central, Gateway, ble_air
from tests.node_rig import Rig, identity, identity_files, make
from tests.radio_city import City

INTERVAL_MS = 400
STATUS = re.compile(rb"heap: (\d+) bytes used, (\d+) free")


def radio_heap(
    folder: Path,
    heap_bytes: int,
    lorawan: dict[str, Any] | None = None,
    readings: int = 4,
    kind: str = "street_light",
) -> int:
    """Return the bytes in use at the second status line, in a session, readings receipted; MemoryError.

    By then the board has joined, obeyed MAC commands and reported about itself, for each of which it loads code.
    """
    folder.mkdir(exist_ok=True)
    own = {} if kind == "street_light" else {"board": f"virtual_{kind}"}

    async def live() -> int:
        async with City(
            folder, 1, lorawan, {"heap_bytes": heap_bytes} | own, kind=kind, interval_ms=INTERVAL_MS
        ) as city:
            return await _used(city, readings)

    return stepped.run(live())


def bluetooth_heap(
    folder: Path, heap_bytes: int, link: str = "ble", readings: int = 4, kind: str = "street_light"
) -> int:
    """As ``radio_heap``, for a board whose gateway is near; *link*: "ble" or "lora_ble". MemoryError."""
    folder.mkdir(exist_ok=True)
    name = BOARD if kind == "street_light" else f"virtual_{kind}"

    async def live() -> int:
        async with ble_air(folder) as (_, air):
            board = {"board": name, "ble_air": air, "heap_bytes": heap_bytes}
            async with (
                City(folder, 1, None, board, link=link, kind=kind, interval_ms=INTERVAL_MS) as city,
                Central(air) as central,
                Gateway(central, city.server),
            ):
                return await _used(city, readings)

    return asyncio.run(live())


def serial_heap(folder: Path, heap_bytes: int, kind: str = "street_light", readings: int = 40) -> int:
    """As ``radio_heap``, on a serial line. MemoryError."""
    folder.mkdir(exist_ok=True)
    name = "virtual" if kind == "street_light" else f"virtual_{kind}"
    values = identity(interval_ms=INTERVAL_MS, kind=kind, board=load_board(name).node.as_map())

    async def live() -> int:
        async with Rig(make(folder, identity_files(values), name), board=name, heap_bytes=heap_bytes) as rig:
            while rig.server.base < readings and b"emory" not in rig.text:  # a bin takes its time
                await rig.until(_another(rig), "another receipt")
            return _last(rig.text)

    return stepped.run(live())


def _another(rig: Rig) -> Callable[[], bool]:
    before = rig.server.base
    return lambda: b"emory" in rig.text or rig.server.base > before


async def _used(city: City, readings: int) -> int:
    def done() -> bool:
        enough = city.server.base >= readings and len(STATUS.findall(city.text)) > 1
        return enough or b"MemoryError" in city.text or b"memory allocation failed" in city.text

    await city.until(done, f"{readings} receipted readings and two status lines")
    return _last(city.text)


def _last(text: bytes) -> int:
    if b"emory" in text:
        raise MemoryError(text.decode(errors="replace"))
    return int(STATUS.findall(text)[-1][0])
