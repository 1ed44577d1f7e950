# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where data goes to, and the gateways it goes through."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from provisioning.model.base import MAX_ITEMS, Eui, Model, Moment, OrgId, Reference, Text

Capability = Literal["integration", "collect", "store", "bigdata", "analyse"]
ApiKind = Literal["mqtt", "sensorthings", "ngsi-ld", "openapi"]
PlatformUrl = Annotated[str, Field(pattern=r"^(https?|mqtts?)://[^\s<>\"]{3,400}$")]
_SCHEMES: Final = {"mqtt": ("mqtt", "mqtts")}
_MAX_STEPS: Final = 64


class InterfaceStep(Model):
    """One thing that a test of an interface tried."""

    name: Text
    outcome: Literal["passed", "failed", "absent"]
    """`absent`: a version that the platform need not speak, and does not."""
    found: Text | None = None


class InterfaceTest(Model):
    """What a platform's interface showed when it was last tested (R-08). Holds no secret."""

    at: Moment
    kind: ApiKind
    url: PlatformUrl
    passed: bool
    steps: Annotated[tuple[InterfaceStep, ...], Field(min_length=1, max_length=_MAX_STEPS)]


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
    api_url: PlatformUrl | None = None
    """Of the published interface: a broker, the root of a service, or an OpenAPI document."""
    api_kind: ApiKind | None = None
    """What the interface speaks; without it nothing can be tested."""
    api_test: InterfaceTest | None = None
    """The last test of this interface; earlier ones are in the log."""

    @model_validator(mode="after")
    def _interface_is_whole(self) -> Platform:
        if self.api_kind is None:
            return self
        if self.api_url is None:
            raise ValueError("api_kind needs api_url: where the interface is")
        parts = urlsplit(self.api_url)
        schemes = _SCHEMES.get(self.api_kind, ("http", "https"))
        if parts.scheme not in schemes:
            raise ValueError(f"an interface of kind {self.api_kind} has an address with {' or '.join(schemes)}")
        if "@" in parts.netloc:
            raise ValueError("api_url is shown to everybody: leave user and password out")
        return self


class GatewayEntry(Model):
    """An enrolled gateway, as rules and reports see it."""

    eui: Eui
    name: Text
    not_after: Moment
    """When its certificate ends."""
    state: Literal["registered", "retired"]
