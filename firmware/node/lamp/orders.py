# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands to a street light. Loaded when one comes."""

import asyncio

from firmware.node.log import log, log_error
from firmware.wire import requests


def obey(light, name: str, values: dict, longest_min: int) -> int:
    """Obey a command; return a status of wire.requests. An override lasts *longest_min* at most."""
    if name == "dim":
        minutes = min(values.get("minutes", longest_min), longest_min)
        light.decision.override(values.get("percent", 100), minutes, values.get("fade_ms"))
    elif name == "release":
        light.decision.release()
    elif name == "reset_counters":
        light.burning.reset(values.get("burn_hours", False), values.get("switches", False))
    elif name == "address_gear" and light.extras is not None and light.extras.gear is not None:
        light.addressing = asyncio.create_task(_address(light.extras.gear, values.get("anew", False)))
    else:
        return requests.UNKNOWN
    return requests.DONE


async def _address(gear, anew: bool) -> None:
    try:
        given = await gear.address(anew)
        log("lamp", "DALI: addresses were given: %s" % (", ".join([str(each) for each in given]) or "none"))
    except OSError as error:
        log_error("lamp", error)
