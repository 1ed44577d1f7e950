# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands to a street light. Loaded when one comes."""

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
    else:
        return requests.UNKNOWN
    return requests.DONE
