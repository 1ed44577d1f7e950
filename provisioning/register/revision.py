# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which revision of the register's tables this program knows, and what is said of others and of no register at all."""

from __future__ import annotations

from typing import Final

from provisioning.errors import RegisterError, TamperedSecret, WrongKek
from provisioning.keys import PURPOSE_CHECK, KeyBox

HEAD: Final = "0004"
"""The revision of `provisioning.register.tables`. Who only reads (a gateway) compares it and loads neither the tables
nor the migrations."""
VERSION_TABLE: Final = "alembic_version"
"""Alembic's own."""
VERSION_TABLE_BEFORE: Final = "schema_version"
"""Where there is this one, the register was made before revisions were kept: its revision is `0001`."""


def check(found: str | None, where: str) -> None:
    """Raise RegisterError where there is no register (None), or one of another revision than `HEAD`."""
    if found is None:
        raise no_register(where)
    if found != HEAD:
        raise _other(found)


def check_kek(box: KeyBox, kek_check: bytes, where: str) -> None:
    """Raise WrongKek when this is not the key that the register's keys were sealed with."""
    try:
        box.open(PURPOSE_CHECK, b"", kek_check)
    except TamperedSecret as error:
        raise WrongKek(
            "This is not the key-encryption key of this register.",
            value=where,
            reason="Without the right one no device key opens and no device can join.",
            next_step="point kek in the configuration to the kek file of this city",
        ) from error


def no_register(where: str) -> RegisterError:
    """What is said where no register is."""
    return RegisterError("There is no register here.", value=where, next_step="lykta init makes a new city")


def _other(found: str) -> RegisterError:
    if found < HEAD:
        return RegisterError(
            "This register was made by an older version of Lykta.",
            value=f"tables {found}, this tool knows {HEAD}",
            next_step="lykta upgrade brings it up to date, once for the whole city",
        )
    return RegisterError(
        "This register was made by a newer version of Lykta.",
        value=f"tables {found}, this tool knows {HEAD}",
        next_step="install the newer version on this machine too",
    )
