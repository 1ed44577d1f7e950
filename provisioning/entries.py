# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the register says of a device and of a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["registered", "retired"]
"""Of a gateway."""
DEVICE_COLUMNS: Final = "dev_eui, join_eui, kind, name, owner, state, created_at_s"
"""Of the table `devices`, what `device_of` wants."""


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device as a gateway needs it. EUIs are 8 bytes in display order; times are UTC."""

    dev_eui: bytes
    join_eui: bytes
    kind: str
    """What it speaks on the air (firmware/wire/kinds)."""
    name: str
    owner: str | None
    state: str
    """`registered` when it may talk; else the stage of its life: `planned`, `suspended`, `retired`."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Gateway:
    """An enrolled gateway and its certificate."""

    eui: bytes
    name: str
    certificate_pem: str
    certificate_sha256: bytes
    not_after: datetime
    state: State
    created_at: datetime


def moment(time_s: int) -> datetime:
    """Return the UTC of Unix seconds."""
    return datetime.fromtimestamp(time_s, UTC)


def device_of(row: Mapping[str, Any]) -> Device:
    """Return the device of a row of the table `devices`."""
    return Device(
        dev_eui=bytes.fromhex(row["dev_eui"]),
        join_eui=bytes.fromhex(row["join_eui"] or ""),
        kind=row["kind"],
        name=row["name"],
        owner=row["owner"],
        state=row["state"],
        created_at=moment(row["created_at_s"]),
    )


def gateway_of(row: Mapping[str, Any]) -> Gateway:
    """Return the gateway of a row of the table `gateways`."""
    values: dict[str, Any] = {
        "eui": bytes.fromhex(row["eui"]),
        "name": row["name"],
        "certificate_pem": row["certificate_pem"],
        "certificate_sha256": bytes(row["certificate_sha256"]),
        "not_after": moment(row["not_after_s"]),
        "state": row["state"],
        "created_at": moment(row["created_at_s"]),
    }
    return Gateway(**values)
