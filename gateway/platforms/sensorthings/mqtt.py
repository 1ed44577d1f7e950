# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Observations by MQTT, one publication each (OGC 18-088 section 14): for services that take them so.

The broker acknowledges a publication, the service behind it says nothing: what it refuses is not heard of.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.platforms._paho import Target
from gateway.platforms._publisher import Message, Publisher
from gateway.platforms._tls import TlsSettings, tls_context
from gateway.platforms.sensorthings.entities import COMPONENTS

if TYPE_CHECKING:
    from gateway.platforms import Context

_KEEPALIVE_S = 30


class MqttSettings(BaseModel):
    """``[platforms.mqtt]`` of a SensorThings service. The user and the password are those of the service."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    tls: TlsSettings | None = None

    def keeps_secrets(self) -> bool:
        """Tell whether a password may travel there."""
        try:
            here = ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            here = self.host == "localhost"
        return here or self.tls is not None


def publisher(
    name: str, settings: MqttSettings, context: Context, username: str | None, password: str | None
) -> Publisher:
    """Return the connection to the service's broker."""
    tls = None if settings.tls is None else tls_context(name, settings.tls, context.base)
    client_id = f"{context.client_id}-{name}"
    return Publisher(Target(settings.host, settings.port, client_id, _KEEPALIVE_S, username, password, tls))


def message(stream_id: Any, row: list[Any]) -> Message:
    """Return the publication of one observation, for the Datastream of that id."""
    payload = json.dumps(dict(zip(COMPONENTS, row, strict=True)), separators=(",", ":"), ensure_ascii=False)
    quoted = f"'{stream_id}'" if isinstance(stream_id, str) else str(stream_id)
    return Message(f"v1.1/Datastreams({quoted})/Observations", payload.encode(), "application/json")
