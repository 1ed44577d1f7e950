# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a waste bin hands to the looks out of deep sleep, and what it takes back. ``waste_bin_look`` uses it."""

from firmware.node.roles import waste_bin_look as look
from firmware.node.store import Slots, decode

_CHIPS = ("ntc_adc", "lis3dh")


def values(files, settings, temperature_c, tilted: bool) -> "tuple | None":
    """Return (role, ms from look to look, 0 for none, what a look needs, the pin of a movement or None).

    None when the board's pins cannot be read: then it stays awake.
    """
    payload = Slots(files, "pins").payload
    if not payload:
        return None
    board = decode(payload)[1]  # kept there by the start, and on flash only: its map is large
    sensors = [entry for entry in board.get("sensors", []) if entry.get("chip") in _CHIPS]
    wakes = [entry["interrupt_pin"] for entry in sensors if "interrupt_pin" in entry]
    found = [None] * 8  # type: list
    found[look.BOARD] = {"i2c": board.get("i2c"), "sensors": sensors}
    found[look.TENTHS_C] = None if temperature_c is None else int(temperature_c * 10)
    found[look.FIRE_C] = settings["fire_c"]
    found[look.RISE_C] = settings["fire_rise_c"]
    found[look.FALLEN_DEG] = settings["fallen_deg"]
    found[look.TILTED] = tilted
    found[look.OPENINGS] = 0
    return "waste_bin", settings["asleep_look_s"] * 1000, found, wakes[0] if wakes else None


def seen(values: list) -> tuple:
    """Return (degrees Celsius at the last look, lid openings since)."""
    tenths = values[look.TENTHS_C]
    return None if tenths is None else tenths / 10, values[look.OPENINGS]
