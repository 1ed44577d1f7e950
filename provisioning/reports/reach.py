# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How far a property reaches, as the city's rule pack says."""

from __future__ import annotations

from provisioning.guidelines import nearby
from provisioning.guidelines.pack import Pack
from provisioning.model.device import DeviceRecord
from provisioning.reports.duplicates import Reach, ReachOf


def of_pack(pack: Pack) -> ReachOf:
    """The reach of a property in the vocabulary of this pack."""

    def reach(device: DeviceRecord, name: str) -> Reach | None:
        entry = nearby.word(pack, name)
        if entry is None:
            return None
        return Reach(entry.scope, nearby.radius_m(entry, device), entry.same_site_type)

    return reach
