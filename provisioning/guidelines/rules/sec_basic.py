# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""SEC: classification, controls, credentials, secrets (SEC-1 to SEC-4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit
from provisioning.guidelines.rule import Case, rule

_OUTSIDE: Final = 4
"""KLASSA: the highest consequence is outside its catalogue of requirements."""
_SIGNED_UPDATES: Final = frozenset({"ota_signed"})
_OWN_KEY: Final = frozenset({"otaa", "x509"})


@rule("SEC-1", when=lambda case: bool(case.record.streams), numbers=("max_age_days",))
def classified(case: Case) -> Iterator[Hit]:
    """Each stream is classified, not long ago, and not too high for this tool."""
    for pointer, stream in ask.streams(case.record):
        field, found = f"{pointer}/klassa", stream.klassa
        if found is None:
            yield ask.missing(field, stream=stream.property)
            continue
        age = (case.today - found.date).days
        limit = case.number("max_age_days")
        values = {"stream": stream.property, "date": found.date, "age": age, "limit": limit}
        if age > limit:
            yield Hit("old", f"{field}/date", found.date, f"<= {limit:g} d", values)
        elif age < 0:
            yield Hit("future", f"{field}/date", found.date, case.today, values)
        if found.highest() >= _OUTSIDE:
            yield Hit("too_high", field, found.highest(), _OUTSIDE - 1, values)
        if found.case_ref is None:
            yield ask.missing(f"{field}/case_ref", case="no_case", **values)


@rule(
    "SEC-2",
    when=lambda case: any(each.klassa is not None for each in case.record.streams),
    numbers=("store_forward_h",),
)
def controls(case: Case) -> Iterator[Hit]:
    """It has the controls that its class asks for."""
    level = max(ask.highest(case.record, letter) for letter in "KRT")
    have = {*case.record.controls, *_shown(case)}
    for control in case.pack.tables.controls:
        if control.level <= level and control.id not in have:
            text = {"sv": control.sv, "en": control.en}
            values = {"control": control.id, "text": text, "level": level}
            yield Hit("lacks", "/controls", sorted(have), control.id, values)


def _shown(case: Case) -> Iterator[str]:
    """Controls that other fields of the record show."""
    record = case.record
    if record.support is not None and record.support.update in _SIGNED_UPDATES:
        yield "signed_firmware"
    if record.credentials is not None and record.credentials.kind in _OWN_KEY:
        yield "device_identity"
    hours = record.store_forward_h
    if hours is not None and hours >= case.number("store_forward_h"):
        yield "store_forward_24h"


@rule("SEC-3")
def own_key(case: Case) -> Iterator[Hit]:
    """One key, one device; and none that everybody knows."""
    record = case.record
    if record.credentials is None:
        yield ask.missing("/credentials")
        return
    speaks_lorawan = record.network is not None and record.network.type == "lorawan"
    if speaks_lorawan and record.dev_eui is None and not ask.is_gateway(record):
        yield ask.missing("/identity/dev_eui", case="no_dev_eui")
    print_ = record.credentials.fingerprint
    if print_ is None:
        # Before it is registered it has none: the register makes one that is random and its own.
        if record.lifecycle.stage not in {"planned", "registered", "needs_approval"}:
            yield ask.missing("/credentials/fingerprint", case="no_fingerprint")
        return
    same = (each for each in case.stock.devices_with(print_) if each is not record)
    others = [each for each in same if record.id is None or each.id != record.id]
    if others:
        names = sorted(each.id or each.dev_eui or each.name or "–" for each in others)
        values = {"other": names[0], "count": len(names)}
        yield Hit("shared", "/credentials/fingerprint", names, [], values)
    if print_ in case.pack.tables.default_fingerprints:
        yield Hit("default", "/credentials/fingerprint", print_)


_SECRET: Final = re.compile(
    r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{64})(?![0-9a-fA-F])|-----BEGIN [A-Z ]*PRIVATE"
)
_SPACED: Final = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}[ :-]){15,}[0-9a-fA-F]{2}(?![0-9a-fA-F])")
_HASHES: Final[Any] = {"credentials": {"fingerprint"}, "share": {"search": {"hash"}}}


@rule("SEC-4", external=True, after_end=True)
def no_secret(case: Case) -> Iterator[Hit]:
    """No key stands in the record: it is copied, mailed and exported."""
    whole = case.record.model_dump_json(exclude_none=True, exclude=_HASHES)
    if not _SECRET.search(whole) and not _SPACED.search(whole):
        return
    for pointer, text in _texts(case.record.model_dump(mode="json", exclude_none=True, exclude=_HASHES), ""):
        if _SECRET.search(text) or _SPACED.search(text):
            yield Hit("secret", pointer, observed="(not shown)", required="a reference")


def _texts(value: object, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{pointer}/{index}")
