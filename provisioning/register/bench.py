# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Devices for the bench and for trying out: registered with a kind alone, and marked as a test by their record."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from firmware.wire.kinds.terms import names as kind_names
from provisioning.errors import InvalidIdentity, UnknownKind
from provisioning.identities import check_eui, new_eui
from provisioning.model.device import WIRE_KINDS, DeviceRecord, Kind, Role
from provisioning.model.lifecycle import Lifecycle
from provisioning.model.parts import Identity, Owner

MAX_NAME: Final = 128
_ROLES: Final[dict[str, Role]] = {"streetlight_controller": "both"}


def bench_record(
    kind: str,
    *,
    dev_eui: bytes | None = None,
    join_eui: bytes | None = None,
    name: str | None = None,
    owner: str | None = None,
) -> DeviceRecord:
    """The record of a device for the bench. `kind` is one of firmware/wire/kinds; `owner` an organisation's id.

    Raises UnknownKind, InvalidIdentity.
    """
    if kind not in kind_names():
        raise UnknownKind(
            "This kind of device is not known.",
            value=repr(kind),
            next_step=f"choose one of: {', '.join(kind_names())}",
        )
    dev_eui = new_eui() if dev_eui is None else dev_eui
    join_eui = new_eui() if join_eui is None else join_eui
    check_eui(dev_eui, "DevEUI")
    check_eui(join_eui, "JoinEUI")
    called = check_name(f"{kind}-{dev_eui.hex()}" if name is None else name, "device")
    record_kind: Kind = next((each for each, wire in WIRE_KINDS.items() if wire == kind), "other")
    return DeviceRecord(
        name=called,
        kind=record_kind,
        wire_kind=kind,
        role=_ROLES.get(record_kind, "sensor"),
        owner=None if owner is None else _owner(owner),
        identity=Identity(dev_eui=dev_eui.hex(), join_eui=join_eui.hex()),
        lifecycle=Lifecycle(stage="approved", testbed=True),
    )


def check_name(name: str, what: str) -> str:
    """Return the name of a device or gateway. Raises InvalidIdentity where it is none."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidIdentity(
            f"This is not a name for a {what}: 1 to {MAX_NAME} printable characters.", value=repr(name[:40])
        )
    return name


def _owner(org_id: str) -> Owner:
    try:
        return Owner(org_id=org_id)
    except ValidationError as error:
        raise InvalidIdentity(
            "This is not the id of an organisation: small letters a to z, digits and hyphens.",
            value=repr(org_id[:40]),
            reason="The register names owners by id, so that one board is not two for a spelling.",
            next_step="lykta org list shows the organisations; write for example --owner trafiknamnden",
        ) from error
