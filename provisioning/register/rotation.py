# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Exchange of the key-encryption key (KEK). Three steps, each of which may be interrupted and run again:

1. the secret gets a new key in front of the old one: everybody who reads it opens both;
2. all that is sealed in the register is sealed anew under the new key, in one transaction;
3. when every gateway has the new secret, the old key is taken out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from provisioning.errors import ProvisioningError, SecretError
from provisioning.keys import PURPOSE_CHECK, PURPOSE_FINGERPRINTS, new_kek, split_keks
from provisioning.register import tables

if TYPE_CHECKING:
    from provisioning.city import City
    from provisioning.registry import Registry

_CHECK_TEXT = b"lykta"


def rotate(city: City) -> list[str]:
    """Steps 1 and 2; returns what to tell the person. Where the secret is no file, she does step 1 herself."""
    ref = city.config.register_.kek
    lines = []
    if ref.startswith("file:"):
        path = city.home / ref.removeprefix("file:")
        city.kek()  # it is there, and safe
        added = put_new_key_first(path)
        lines.append(f"{path} now holds a new key and the old one" if added else f"{path} holds two keys already")
    elif len(split_keks(city.kek())) < 2:
        raise SecretError(
            "This secret is not a file that could be written here.",
            value=ref,
            next_step="put a new key (64 hexadecimal digits) on a line before the old one where it is kept; then again",
        )
    with city.registry() as registry:
        count = reseal(registry)
    return [
        *lines,
        f"{count} secrets are sealed under the new key now",
        "next: give every gateway the new secret and restart it; then lykta keys rotate-kek --finish",
    ]


def finish(city: City) -> list[str]:
    """Step 3; returns what to tell the person."""
    ref = city.config.register_.kek
    with city.registry() as registry:
        refuse_unfinished(registry)
    if not ref.startswith("file:"):
        return [f"nothing needs the old key any more: take its line out of {ref}"]
    path = city.home / ref.removeprefix("file:")
    dropped = drop_old_keys(path)
    return [
        f"{path}: {dropped} old keys taken out",
        "keep a copy of it in a safe place, and destroy those of the old key",
    ]


def put_new_key_first(path: Path) -> bool:
    """Step 1, where the secret is a file. Returns False when there are two from an earlier try."""
    present = path.read_bytes().strip()
    if len(split_keks(present)) > 1:
        return False
    _exchange(path, new_kek() + present + b"\n")
    return True


def drop_old_keys(path: Path) -> int:
    """Step 3, where the secret is a file. Returns how many keys were taken out."""
    keys = split_keks(path.read_bytes().strip())
    _exchange(path, keys[0] + b"\n")
    return len(keys) - 1


def reseal(registry: Registry) -> int:
    """Step 2. Returns how many secrets were sealed anew. Nobody else writes meanwhile; readers go on."""
    keys = registry.keys()
    box, count = keys.box, 0
    with registry.change() as change:
        connection = change.connection
        table = tables.credentials
        for row in connection.execute(select(table).where(table.c.sealed.is_not(None))).all():
            eui, sealed = bytes.fromhex(row.dev_eui), bytes(row.sealed)
            if not box.current(row.purpose, eui, sealed):
                fresh = box.seal(row.purpose, eui, box.open(row.purpose, eui, sealed))
                where = (table.c.dev_eui == row.dev_eui, table.c.purpose == row.purpose)
                connection.execute(update(table).where(*where).values(sealed=fresh))
                count += 1
        city = connection.execute(select(tables.city)).one()
        if not box.current(PURPOSE_CHECK, b"", bytes(city.kek_check)):
            check = box.seal(PURPOSE_CHECK, b"", _CHECK_TEXT)
            # Fingerprints go on under the key they were made with: else equal keys would no longer look equal.
            fingerprints = box.seal(PURPOSE_FINGERPRINTS, b"", keys.fingerprint_key)
            connection.execute(update(tables.city).values(kek_check=check, fingerprint_key=fingerprints))
            count += 1
        if count:
            change.log("kek.reseal", "register", {"secrets": count})
    return count


def refuse_unfinished(registry: Registry) -> None:
    """Raise SecretError while something in the register still needs an old key."""
    box, table = registry.keys().box, tables.credentials
    with registry.reading() as connection:
        rows = connection.execute(select(table).where(table.c.sealed.is_not(None))).all()
        check = bytes(connection.execute(select(tables.city.c.kek_check)).scalar_one())
    old = sum(not box.current(row.purpose, bytes.fromhex(row.dev_eui), bytes(row.sealed)) for row in rows)
    if old or not box.current(PURPOSE_CHECK, b"", check):
        raise SecretError(
            "The register still holds secrets under the old key-encryption key.",
            value=f"{old} device keys",
            reason="Without the old key they would be lost.",
            next_step="lykta keys rotate-kek seals them anew; then finish",
        )


def _exchange(path: Path, data: bytes) -> None:
    """Put a secret in the place of another, durably: there is always one whole file under the name."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ProvisioningError(
            f"Cannot write {path}: {error.strerror}.", next_step="the old key is still in force"
        ) from error
