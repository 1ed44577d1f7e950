# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SEC: the maker's promises, the way the data travels, what is open on the device (SEC-5 to SEC-9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule

_SAFE_TRANSPORT: Final = ("tls1.2", "tls1.3", "dtls1.2", "dtls1.3", "ipsec", "private-apn")
_UPDATES: Final = frozenset({"local", "ota_signed"})


def _variant(case: Case, name: str) -> str:
    return name if ask.speaks_ip(case.record) else f"{name}.constrained"


@rule("SEC-5")
def weaknesses_can_be_told(case: Case) -> Iterator[Hit]:
    """The maker says where to report a weakness and what happens then."""
    support = case.record.support
    if support is None or support.vdp_url is None:
        yield ask.missing("/support/vdp_url")


@rule("SEC-6")
def updates(case: Case) -> Iterator[Hit]:
    """It is updated safely, and for as long as it stands."""
    support, end = case.record.support, case.record.lifecycle.planned_end
    if support is None:
        yield ask.missing("/support", case=_variant(case, "missing"))
        return
    if support.update not in _UPDATES and support.isolable is not True:
        name = _variant(case, "missing" if support.update is None else "unsafe")
        unknown = support.update is None
        yield Hit(name, "/support/update", support.update, sorted(_UPDATES), {"update": support.update}, unknown)
    if support.until is None:
        yield ask.missing("/support/until", end, case=_variant(case, "no_end"))
    elif end is None:
        yield ask.missing("/lifecycle/planned_end", case=_variant(case, "no_planned_end"), until=support.until)
    elif support.until < end and support.isolable is not True:
        yield Hit(_variant(case, "ends"), "/support/until", support.until, end, {"until": support.until, "end": end})


@rule("SEC-7")
def transport(case: Case) -> Iterator[Hit]:
    """Nobody can listen in or speak in its name."""
    record = case.record
    weighs = ask.highest(record, "K") >= 1 or ask.acts(record)
    suffix = "" if weighs else ".low"
    if record.network is None:
        yield ask.missing("/network", case=f"missing{suffix}")
        return
    if record.network.type == "lorawan" and not ask.is_gateway(record):
        kind = None if record.credentials is None else record.credentials.kind
        if kind == "abp":
            yield Hit("abp", "/credentials/kind", kind, "otaa")
        elif kind != "otaa":
            yield Hit(f"no_otaa{suffix}", "/credentials/kind", kind, "otaa", {"kind": kind}, unknown=kind is None)
        return
    found = record.network.security
    if found is None:
        yield ask.missing("/network/security", list(_SAFE_TRANSPORT), case=f"no_security{suffix}")
    elif not found.lower().startswith(_SAFE_TRANSPORT):
        yield Hit(f"weak{suffix}", "/network/security", found, list(_SAFE_TRANSPORT), {"security": found})


@rule("SEC-8")
def nothing_left_open(case: Case) -> Iterator[Hit]:
    """What is not used is off; nobody gets in by the service port."""
    record = case.record
    suffix = "" if ask.is_gateway(record) else ".node"
    if not record.interfaces:
        yield ask.missing("/interfaces", case=f"not_listed{suffix}")
    used = None if record.network is None else record.network.type
    for index, each in enumerate(record.interfaces):
        if each.enabled and each.auth is None and each.type != used:
            field = f"/interfaces/{index}"
            yield Hit(f"open{suffix}", field, each.type, "off, or auth", {"interface": each.type})
    if record.debug_disabled is not True:
        found = record.debug_disabled
        yield Hit(f"debug{suffix}", "/debug_disabled", found, required=True, unknown=found is None)


@rule("SEC-9")
def firmware(case: Case) -> Iterator[Hit]:
    """Its firmware is known, has no weakness that is used, and is not too old."""
    record = case.record
    if record.firmware is None:
        yield ask.missing("/firmware/version")
        return
    version = record.firmware.version
    name = "" if record.model is None else f"{record.model.maker} {record.model.name}"
    values = {"version": version, "model": name}
    if version in case.pack.tables.exploited_firmware.get(name, ()):
        yield Hit("exploited", "/firmware/version", version, values=values)
    least = case.pack.tables.minimum_firmware.get(name)
    if least is not None and _number(version) < _number(least):
        yield Hit("old", "/firmware/version", version, least, {**values, "least": least})
    if ask.is_gateway(record) and record.firmware.sbom_ref is None:
        yield ask.missing("/firmware/sbom_ref", case="no_sbom")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
