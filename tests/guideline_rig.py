# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A small city for the guidelines: records that break no rule, changed one field at a time; papers; a signed pack."""

import base64
import copy
import json
import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provisioning.cli import main
from provisioning.guidelines import pack as packs
from provisioning.guidelines import signed_pack
from provisioning.guidelines.snapshot import Snapshot

VECTORS = Path(__file__).parent / "vectors" / "guidelines"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = "2026-11-22"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORGANISATIONS = {
    "trafiknamnden": "namnd",
    "miljo-och-halsoskyddsnamnden": "namnd",
    "exploateringsnamnden": "namnd",
    "kommunstyrelsen": "namnd",
    "stockholm-vatten-och-avfall": "bolag",
    "entreprenor-x": "external",
}
PLATFORMS = [
    {"id": "IOT-STHLM", "name": "Common IoT platform", "kind": "common", "responsible": "kommunstyrelsen"},
    {
        "id": "INT-01",
        "name": "Integration platform",
        "kind": "common",
        "responsible": "kommunstyrelsen",
        "capabilities": ["integration"],
    },
    {"id": "LOKAL-1", "name": "Local platform", "kind": "local", "responsible": "trafiknamnden"},
    {"id": "GAMMAL-1", "name": "Old platform", "kind": "common", "status": "closed", "responsible": "kommunstyrelsen"},
]
HOLDER = {
    "id": "slk-1",
    "name": "Astrid Samordnare",
    "role": "slk",
    "org": "kommunstyrelsen",
    "public_key": KEY.public_key().public_bytes_raw().hex(),
    "valid_from": "2026-01-01",
    "valid_to": "2028-01-01",
}


@cache
def _records() -> dict[str, Any]:
    text = (VECTORS / "records.toml").read_text(encoding="utf-8")
    return json.loads(json.dumps(tomllib.loads(text), default=lambda day: day.isoformat()))


def record(base: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A record of the vectors; `changes` by JSON pointer, None takes a field away."""
    found = copy.deepcopy(_records()[base])
    for pointer, value in (changes or {}).items():
        _put(found, pointer.removeprefix("/").split("/"), value)
    return found


def _put(inside: Any, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inside = inside[int(part)] if isinstance(inside, list) else inside.setdefault(part, {})
    name: Any = int(path[-1]) if isinstance(inside, list) else path[-1]
    if value is None:
        inside.pop(name, None)
    else:
        inside[name] = value


@cache
def rulepack(changes: tuple[tuple[str, str], ...] = ()) -> str:
    """The proposed pack, with texts replaced, signed by slk; base64."""
    text = packs.proposed_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return base64.b64encode(signed_pack.sign(text, KEY, "slk-1", datetime(2026, 1, 2, tzinfo=UTC))).decode()


def city(**parts: Any) -> dict[str, Any]:
    """A snapshot of the small city as plain data; `parts` are added to it or replace it."""
    found: dict[str, Any] = {
        "as_of": "2026-11-22T11:00:00Z",
        "revision": 17,
        "rulepack": rulepack(),
        "organisations": [{"id": each, "name": each, "kind": kind} for each, kind in ORGANISATIONS.items()],
        "role_holders": [HOLDER],
        "platforms": PLATFORMS,
    }
    return {**found, **parts}


def stock_of(**parts: Any) -> Snapshot:
    """The same as objects."""
    return Snapshot.model_validate_json(json.dumps(city(**parts)))


def signature(role: str = "slk", **parts: Any) -> dict[str, Any]:
    """What a valid signature is worth in the register."""
    org = {"owner": "trafiknamnden", "info_owner": "trafiknamnden"}.get(role, "kommunstyrelsen")
    return {"status": "valid", "signer": f"{role}-1", "name": f"Holder of {role}", "role": role, "org": org, **parts}


def paper(kind: str, changes: dict[str, Any], signed: dict[str, Any]) -> dict[str, Any]:
    """A signed waiver, approval or dialogue of the vectors, changed."""
    text = (VECTORS / "papers.json").read_text(encoding="utf-8")
    found = json.loads(text)[kind]
    for pointer, value in changes.items():
        _put(found, pointer.removeprefix("/").split("/"), value)
    return {"paper": found, "signature": signed}


def lykta(*arguments: str) -> int:
    """The real command line, in this process: starting one takes longer than what it does."""
    return main(list(arguments))


def check(folder: Path, records: list[dict[str, Any]], snapshot: dict[str, Any], *more: str) -> int:
    """`lykta check` of records against a snapshot, on the day of the vectors."""
    file, stock = folder / "records.jsonl", folder / "snapshot.json"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in records), encoding="utf-8")
    stock.write_text(json.dumps(snapshot), encoding="utf-8")
    return lykta("check", str(file), "--snapshot", str(stock), *(("--at", TODAY) if "--at" not in more else ()), *more)
