# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Short addresses for control gear that has none, or for all of it anew: IEC 62386-102, the special commands.

Each gear draws 24 random bits; a binary search by COMPARE finds the lowest number, which gets an address and withdraws.
Some three seconds a gear, while the lamp stays as it is. Loaded for a command only.
"""

import asyncio

_TERMINATE = 0xA100
_INITIALISE = 0xA500  # twice within 100 ms, as the next
_RANDOMISE = 0xA700
_COMPARE = 0xA900
_WITHDRAW = 0xAB00
_SEARCH = (0xB100, 0xB300, 0xB500)  # high, middle, low byte
_PROGRAM = 0xB700
_VERIFY = 0xB900
_PRESENT = 0x91  # QUERY CONTROL GEAR PRESENT
_ADD_TO_GROUP = 0x60  # and the group; twice
_ALL, _WITHOUT = 0x00, 0xFF  # of INITIALISE
_HIGHEST = 0xFFFFFF
_GEAR = 64  # on a bus
_DRAW_MS = 100
_FAULTS = 8  # searches that end at nothing, on a bus with noise


async def present(bus) -> list:
    """Return the short addresses that answer, 0 to 63; some six seconds."""
    found = []
    for address in range(_GEAR):
        if await bus.ask((address << 1 | 1) << 8 | _PRESENT, 1) is not None:
            found.append(address)
    return found


async def assign(bus, anew: bool = False, group=None) -> list:
    """Give an address to gear without one, or with *anew* to all; return the addresses that were given.

    Each that gets one is put into *group*, 0 to 15, unless that is None. Raises OSError when the bus is too noisy to
    find out who is there.
    """
    taken = [] if anew else await present(bus)
    free = [address for address in range(_GEAR) if address not in taken]
    given = []
    faults = 0
    await bus.send(_INITIALISE | (_ALL if anew else _WITHOUT), 2)
    try:
        await bus.send(_RANDOMISE, 2)
        await asyncio.sleep_ms(_DRAW_MS)
        searched = [-1, -1, -1]
        while free and await _at_most(bus, searched, _HIGHEST):
            if not await _find(bus, searched):
                faults += 1
                if faults >= _FAULTS:
                    raise OSError("DALI: gear answers that cannot be found; is there noise on the bus?")
                continue
            address = free[0]
            await bus.send(_PROGRAM | address << 1 | 1)
            if await bus.ask(_VERIFY | address << 1 | 1) is None:
                faults += 1
                if faults >= _FAULTS:
                    raise OSError("DALI: gear does not keep its address")
                continue
            await bus.send(_WITHDRAW)
            if group is not None:
                await bus.send((address << 1 | 1) << 8 | _ADD_TO_GROUP | group, 2)
            given.append(free.pop(0))
    finally:
        await bus.send(_TERMINATE)
    return given


async def _find(bus, searched: list) -> bool:
    """Leave the search address at the lowest number there is; False when nothing has it in the end."""
    low, high = 0, _HIGHEST
    while low < high:
        middle = (low + high) // 2
        if await _at_most(bus, searched, middle):
            high = middle
        else:
            low = middle + 1
    return await _at_most(bus, searched, low)


async def _at_most(bus, searched: list, number: int) -> bool:
    """Ask whether any gear that has not withdrawn drew *number* or less: several answers at once are a yes too."""
    for place in range(3):
        part = number >> (16 - 8 * place) & 0xFF
        if part != searched[place]:
            await bus.send(_SEARCH[place] | part)
            searched[place] = part
    return await bus.ask(_COMPARE, 2) is not None
