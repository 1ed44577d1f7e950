# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where data goes to, and the gateways it goes through."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provisioning.model.base import MAX_ITEMS, Eui, Model, Moment, OrgId, Reference, Text, Url

Capability = Literal["integration", "collect", "store", "bigdata", "analyse"]


class Platform(Model):
    """A platform of the register that kommunstyrelsen keeps (R-01, R-05, R-06)."""

    id: Reference
    name: Text
    kind: Literal["common", "local"]
    status: Literal["active", "planned", "closed"] = "active"
    responsible: OrgId
    applicant: OrgId | None = None
    """Of a local platform: who runs it."""
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=MAX_ITEMS)] = ()
    api_url: Url | None = None


class GatewayEntry(Model):
    """An enrolled gateway, as rules and reports see it."""

    eui: Eui
    name: Text
    not_after: Moment
    """When its certificate ends."""
    state: Literal["registered", "retired"]
