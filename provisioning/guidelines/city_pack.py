# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which rule pack a city has: rules/pack.cose in its directory, or the unsigned proposal of the program."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from consumer import cose
from provisioning.guidelines import pack as packs
from provisioning.guidelines import signed_pack
from provisioning.guidelines.engine import rules_in_force
from provisioning.guidelines.errors import PackError
from provisioning.guidelines.signed_pack import LoadedPack
from provisioning.private_files import make_directory, write_new

if TYPE_CHECKING:
    from provisioning.guidelines.pack import Pack
    from provisioning.model.stock import Stock

FOLDER: Final = "rules"
FILE: Final = "pack.cose"
MAX_BYTES: Final = 4_000_000
_WHY: Final = {
    "unsigned": "nobody has signed it",
    "unknown_signer": "whoever signed it may not: it takes a role holder of slk or ks, in time and not revoked",
    "bad_signature": "its signature was not made with the key of that role holder",
}


def proposed() -> LoadedPack:
    """The proposal, unsigned."""
    return LoadedPack(packs.proposed())


def load(home: Path) -> LoadedPack:
    """The pack of the city in this directory. Raises PackError."""
    path = home / FOLDER / FILE
    return read(path) if path.exists() else proposed()


def read(path: Path) -> LoadedPack:
    """A pack from a file, signed or not. Raises PackError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PackError(f"The rule pack cannot be read: {error.strerror}.", value=path) from error
    if len(raw) > MAX_BYTES:
        raise PackError(f"The rule pack is longer than {MAX_BYTES} bytes.", value=path)
    if path.suffix == ".toml":
        try:
            return LoadedPack(packs.parse(raw.decode(), str(path)), None, raw.decode())
        except UnicodeDecodeError as error:
            raise PackError("The rule pack is not UTF-8 text.", value=path) from error
    return signed_pack.load(raw, str(path))


def text_of(loaded: LoadedPack) -> str:
    """The TOML of a pack, with its comments."""
    if loaded.message is not None:
        return cose.parse(loaded.message).payload.decode()
    return packs.proposed_text() if loaded.text is None else loaded.text


def install(home: Path, file: Path, stock: Stock) -> Pack:
    """Make a signed pack the city's. Raises PackError where its signature does not count or it does not fit."""
    loaded = read(file)
    trust = signed_pack.trust(loaded, stock)
    if trust.problem is not None or loaded.message is None:
        problem = trust.problem or "unsigned"
        raise PackError(
            "This rule pack is not the city's.",
            value=f"{loaded.pack.version}, {trust.detail}".rstrip(", "),
            reason=_WHY[problem],
            next_step="lykta rules sign PACK.toml --as ROLEHOLDER --key REF --out FILE",
        )
    rules_in_force(loaded.pack)
    folder = home / FOLDER
    make_directory(folder)
    # The old one stays beside it, under its version: what was judged by it can be judged again.
    kept = folder / f"{loaded.pack.version}.cose"
    if not kept.exists():
        write_new(kept, loaded.message, 0o644)
    temporary = folder / f".{FILE}.{secrets.token_hex(8)}"
    write_new(temporary, loaded.message, 0o644)
    temporary.replace(folder / FILE)
    return loaded.pack
