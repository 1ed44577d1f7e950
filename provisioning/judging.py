# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which rules a city's register asks before it lets a device in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.guidelines import city_pack
from provisioning.guidelines.batch import judge

if TYPE_CHECKING:
    from provisioning.city import City
    from provisioning.model.verdict import Judge


def judge_of(city: City) -> Judge:
    """The judge of this city. As long as it has installed no signed pack, its rules block everything (GOV-1)."""
    return judge(city_pack.load(city.home))
