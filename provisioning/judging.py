# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which rules a city's register asks before it lets a device in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioning.guidelines import city_pack
from provisioning.guidelines.batch import Judged, judge
from provisioning.guidelines.render_text import findings_lines

if TYPE_CHECKING:
    from provisioning.city import City
    from provisioning.model.verdict import Judge, Verdict


def judge_of(city: City) -> Judge:
    """The judge of this city. As long as it has installed no signed pack, its rules block everything (GOV-1)."""
    return judge(city_pack.load(city.home))


def told_together(verdicts: Mapping[str, Verdict]) -> list[str]:
    """The findings of many verdicts, each once for all that it concerns; by the name under which it is to be told."""
    judged = [(name, each) for name, each in verdicts.items() if isinstance(each, Judged)]
    if not judged:
        return []
    return findings_lines([each.evaluation.under(name) for name, each in judged], judged[0][1].language)
