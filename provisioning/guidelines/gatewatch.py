# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The guidelines for a gateway: what it hears goes in, what the rules say of it comes out. It stops nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.guidelines import city_pack
from provisioning.guidelines.engine import guidelines, label
from provisioning.guidelines.findings import Mode
from provisioning.guidelines.observed import Observed
from provisioning.guidelines.render_text import message
from provisioning.model.device import DeviceRecord
from provisioning.model.lifecycle import Lifecycle
from provisioning.model.parts import Identity

if TYPE_CHECKING:
    from provisioning.guidelines.signed_pack import LoadedPack
    from provisioning.register.answers import Answers

__all__ = ["Event", "Observed", "keep_h", "load_pack", "watch"]


@dataclass(frozen=True, slots=True)
class Event:
    """A rule that what was heard does not keep."""

    rule: str
    case: str
    severity: str
    dev_eui: str
    device: str
    """Its id in the register, or what is known of it."""
    text: str
    ask: str
    """Roles, for instance `slk`."""


def load_pack(path: Path | None) -> LoadedPack:
    """The city's signed pack, or the program's proposal where there is none. Raises PackError."""
    return city_pack.read(path) if path is not None and path.exists() else city_pack.proposed()


def keep_h(loaded: LoadedPack) -> float:
    """How long a gateway keeps frames of somebody who is not registered (OWN-4)."""
    return loaded.pack.number("OWN-4", "keep_h")


def watch(registry: Answers, loaded: LoadedPack, seen: Iterable[Observed], now: datetime) -> list[Event]:
    """What the rules say of devices as a gateway hears them. Raises ProvisioningError, PackError."""
    events = []
    with registry.stock() as stock:
        rules = guidelines(stock, loaded, mode=Mode.GATEWAY, now=now)
        for each in seen:
            record = stock.device_by_eui(each.dev_eui) or _stranger(each.dev_eui)
            for finding in rules.evaluate(record, each).open:
                if finding.hit is not None:
                    asked = ", ".join(finding.ask)
                    told = message(finding, "en")
                    case, severity = finding.hit.case, str(finding.severity)
                    event = Event(finding.rule_id, case, severity, each.dev_eui, label(record), told, asked)
                    events.append(event)
    return events


def _stranger(dev_eui: str) -> DeviceRecord:
    """Somebody who is not registered: nothing is known but the address."""
    return DeviceRecord(kind="other", identity=Identity(dev_eui=dev_eui), lifecycle=Lifecycle(stage="planned"))
