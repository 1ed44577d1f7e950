# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The devices' root keys: sealed when they come in, fingerprinted so that no two are equal, destroyed at retirement."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from provisioning.errors import DuplicateEntry, InvalidIdentity
from provisioning.keys import APP_KEY_BYTES, PURPOSE_APP_KEY, KeyBox
from provisioning.model.device import DeviceRecord
from provisioning.model.parts import Credentials
from provisioning.register import tables
from provisioning.register.log import Change


class Keys:
    """Seals keys and takes their fingerprints. Never prints them."""

    def __init__(self, box: KeyBox, fingerprint_key: bytes) -> None:
        self.box = box
        self.fingerprint_key = fingerprint_key

    def __repr__(self) -> str:
        return "Keys(…)"

    def fingerprint(self, secret: bytes) -> bytes:
        """16 bytes that tell equal keys of this register from different ones."""
        return self.box.fingerprint(secret, self.fingerprint_key)


def credentials_of(keys: Keys, app_key: bytes, at_s: int) -> Credentials:
    """What a record says of an AppKey in the register."""
    return Credentials(
        kind="otaa",
        fingerprint=f"hmac:{keys.fingerprint(app_key).hex()}",
        store_ref="register:app_key",
        rotated=datetime.fromtimestamp(at_s, UTC).date(),
    )


def refuse_used(connection: Connection, keys: Keys, app_key: bytes) -> None:
    """Raise DuplicateEntry for a key that a device has, or that a retired one had."""
    table = tables.credentials
    query = select(table.c.dev_eui).where(table.c.fingerprint == keys.fingerprint(app_key))
    other = connection.execute(query).scalar_one_or_none()
    if other is not None:
        raise DuplicateEntry(
            "Another device has the same AppKey.",
            value=f"DevEUI {other}",
            reason="One key per device: whoever opens one device could speak for the other.",
            next_step="leave the key out to be given a random one",
        )


def store_all(change: Change, keys: Keys, held: Sequence[tuple[DeviceRecord, bytes]]) -> None:
    """Seal the keys of devices that are in the register by now."""
    rows = [
        {
            "dev_eui": record.dev_eui,
            "purpose": PURPOSE_APP_KEY,
            "sealed": keys.box.seal(PURPOSE_APP_KEY, bytes.fromhex(record.dev_eui or ""), app_key),
            "fingerprint": keys.fingerprint(app_key),
            "rotated_at_s": change.at_s,
        }
        for record, app_key in held
    ]
    if rows:
        change.connection.execute(insert(tables.credentials), rows)


def exchange(change: Change, keys: Keys, record: DeviceRecord, app_key: bytes) -> None:
    """Put a new key in the place of the old one, which is gone."""
    dev_eui = bytes.fromhex(record.dev_eui or "")
    table = tables.credentials
    change.connection.execute(
        update(table)
        .where(table.c.dev_eui == dev_eui.hex(), table.c.purpose == PURPOSE_APP_KEY)
        .values(
            sealed=keys.box.seal(PURPOSE_APP_KEY, dev_eui, app_key),
            fingerprint=keys.fingerprint(app_key),
            rotated_at_s=change.at_s,
            revoked_at_s=None,
        )
    )


def revoke(change: Change, dev_eui: str) -> int:
    """Destroy all keys of a device; their fingerprints stay, so that nobody uses them again. Returns how many."""
    table = tables.credentials
    done = change.connection.execute(
        update(table)
        .where(table.c.dev_eui == dev_eui, table.c.sealed.is_not(None))
        .values(sealed=None, revoked_at_s=change.at_s)
    )
    return done.rowcount


def check_app_key(key: bytes, dev_eui: bytes, join_eui: bytes) -> None:
    """Refuse keys that can be guessed (guidelines SEC-3): repeated, sequential, or made of the EUIs."""
    if len(key) != APP_KEY_BYTES:
        raise InvalidIdentity(f"An AppKey is {APP_KEY_BYTES} bytes.", value=f"{len(key)} bytes")
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    halves = {key[:8], key[8:]}
    derived = {dev_eui, join_eui, dev_eui[::-1], join_eui[::-1]}
    if len(steps) == 1 or key[:8] == key[8:] or halves & derived:
        raise InvalidIdentity(
            "This AppKey can be guessed.",
            reason="It is repeated, counts up, or is made of the DevEUI or JoinEUI that everybody can hear.",
            next_step="leave the key out to be given a random one",
        )
