# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The register as a file, to take along where there is no network. It says when it was true; it never pretends more."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from provisioning.errors import RegisterError
from provisioning.guidelines import pack as packs
from provisioning.guidelines import signed_pack
from provisioning.guidelines.signed_pack import LoadedPack
from provisioning.model.base import Model, Moment
from provisioning.model.device import DeviceRecord
from provisioning.model.memory import MemoryStock
from provisioning.model.organisations import Organisation, RoleHolder
from provisioning.model.papers import Approval, CoUseDialogue, Signed, Waiver
from provisioning.model.platforms import GatewayEntry, Platform

if TYPE_CHECKING:
    from provisioning.model.stock import Stock

_EDITION = 1


class Snapshot(Model):
    """What a snapshot file holds. No keys: records carry fingerprints only."""

    edition: Literal[1] = 1
    as_of: Moment
    revision: Annotated[int, Field(ge=0)]
    rulepack: str | None = None
    """The signed rule pack, base64; None where the city has none yet."""
    organisations: tuple[Organisation, ...] = ()
    role_holders: tuple[RoleHolder, ...] = ()
    platforms: tuple[Platform, ...] = ()
    gateways: tuple[GatewayEntry, ...] = ()
    dialogues: tuple[Signed[CoUseDialogue], ...] = ()
    approvals: tuple[Signed[Approval], ...] = ()
    waivers: tuple[Signed[Waiver], ...] = ()
    devices: tuple[DeviceRecord, ...] = ()

    def stock(self) -> MemoryStock:
        """As a stock that rules can ask."""
        return MemoryStock(
            self.devices,
            organisations=self.organisations,
            role_holders=self.role_holders,
            platforms=self.platforms,
            gateways=self.gateways,
            dialogues=self.dialogues,
            approvals=self.approvals,
            waivers=self.waivers,
            as_of=self.as_of,
            revision=self.revision,
        )

    def pack(self) -> LoadedPack:
        """The rule pack of the city, or the proposal that comes with the program. Raises PackError."""
        if self.rulepack is None:
            return LoadedPack(packs.proposed())
        try:
            message = base64.b64decode(self.rulepack, validate=True)
        except binascii.Error:
            message = b""
        return signed_pack.load(message, "the rule pack of the snapshot")


def take(stock: Stock, loaded: LoadedPack) -> Snapshot:
    """A snapshot of a stock and the rules in force."""
    return Snapshot(
        as_of=stock.as_of,
        revision=stock.revision,
        rulepack=None if loaded.message is None else base64.b64encode(loaded.message).decode(),
        organisations=tuple(stock.organisations()),
        role_holders=tuple(stock.role_holders()),
        platforms=tuple(stock.platforms()),
        gateways=tuple(stock.gateways()),
        dialogues=tuple(stock.dialogues()),
        approvals=tuple(stock.approvals()),
        waivers=tuple(stock.waivers()),
        devices=tuple(stock.devices()),
    )


def load(path: Path) -> Snapshot:
    """Read a snapshot file. Raises RegisterError."""
    try:
        text = path.read_bytes()
        return Snapshot.model_validate_json(text, strict=True)
    except OSError as error:
        raise RegisterError(f"The snapshot cannot be read: {error.strerror}.", value=path) from error
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        where = ".".join(str(part) for part in first.get("loc", ()))
        raise RegisterError(
            "This is not a snapshot of a register.",
            value=f"{path}: {where} {first['msg']}".strip(),
            next_step="lykta snapshot FILE writes one",
        ) from error


def text_of(snapshot: Snapshot) -> str:
    """The text of a snapshot file."""
    return snapshot.model_dump_json(exclude_none=True) + "\n"
