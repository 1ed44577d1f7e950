# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the register share: databases of both kinds, records, people who sign."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provisioning.keys import new_kek
from provisioning.model.device import DeviceRecord
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.papers import Waiver
from provisioning.model.platforms import Platform
from provisioning.model.verdict import Outcome
from provisioning.register import papers
from provisioning.registry import Registry


class Place(NamedTuple):
    """Where a register is."""

    url: str
    base: Path
    kek: bytes

    def open(self) -> Registry:
        return Registry.open(self.url, self.kek, base=self.base)

    def create(self) -> Registry:
        return Registry.create(self.url, self.kek, city="Lyktby", base=self.base)


def place(url: str, base: Path) -> Place:
    return Place(url, base, new_kek())


def record(number: int = 1, **changes: Any) -> DeviceRecord:
    """A traffic counter; `changes` are JSON values that replace those of the same name."""
    values: dict[str, Any] = {
        "kind": "traffic_counter",
        "name": f"counter {number}",
        "role": "sensor",
        "identity": {"dev_eui": f"70b3d57ed{number:07x}"},
        "owner": {"org_id": "trafiknamnden", "contact": "trafikdata@example.org"},
        "location": {"lat": 59.33 + number * 1e-4, "lon": 18.05, "segment_id": "S-1", "direction": "N"},
        "asset": {"id": f"POLE-{number}", "type": "pole"},
        "streams": [{"property": "traffic.flow.vehicle", "unit": "{veh}/min", "interval_s": 60}],
        **changes,
    }
    return DeviceRecord.model_validate_json(
        json.dumps({key: value for key, value in values.items() if value is not None})
    )


class Person(NamedTuple):
    """Somebody who may sign."""

    holder: RoleHolder
    key: Ed25519PrivateKey


def person(name: str = "ciso-1", role: str = "ciso", org: str = "kommunstyrelsen", **changes: Any) -> Person:
    key = Ed25519PrivateKey.generate()
    today = datetime.now(UTC).date()
    values = {
        "id": name,
        "name": f"The {role}",
        "role": role,
        "org": org,
        "public_key": key.public_key().public_bytes_raw().hex(),
        "valid_from": today - timedelta(days=400),
        "valid_to": today + timedelta(days=400),
        **changes,
    }
    return Person(RoleHolder.model_validate(values), key)


def waiver(number: int = 1, **changes: Any) -> Waiver:
    now = datetime.now(UTC).replace(microsecond=0)
    values = {
        "id": f"W-{number}",
        "rule_id": "SEC-9",
        "scope": {"device_ids": ("TRK-0001",)},
        "reason_code": "DELIVERY",
        "reason_text": "The new firmware comes with the delivery of week 50.",
        "requested_by": "A. Person",
        "approved_by": {"name": "The ciso", "role": "ciso"},
        "case_ref": "KS-2026-1",
        "issued": now - timedelta(hours=1),
        "expires": now + timedelta(days=30),
        "rulepack_version": "1",
        **changes,
    }
    return Waiver.model_validate(values)


def fill(registry: Registry) -> Person:
    """Two organisations, a platform and a person who may sign."""
    ciso = person()
    with registry.change() as change:
        papers.put(change, Organisation(id="kommunstyrelsen", name="Kommunstyrelsen", kind="namnd"))
        papers.put(change, Organisation(id="trafiknamnden", name="Trafiknämnden", kind="namnd"))
        papers.put(change, Platform(id="INT-01", name="Integration", kind="common", responsible="kommunstyrelsen"))
        papers.put(change, ciso.holder)
    return ciso


class Ruling(NamedTuple):
    """A judgement that is decided beforehand."""

    outcome: Outcome
    rulepack_version: str = "test-1"

    @property
    def blocking(self) -> tuple[str, ...]:
        return () if self.outcome == "ok" else ("OWN-1",)

    def lines(self) -> list[str]:
        return [f"{self.outcome} OWN-1 by a rule of the test"]


def day(text: str) -> date:
    return date.fromisoformat(text)
