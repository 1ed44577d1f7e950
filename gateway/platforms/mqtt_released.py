# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Readings by MQTT for those who may not see everything: each cut down to what may be released, and signed as it is.

Under ``<prefix>/<gateway EUI>/released/<owner>/<kind>/<device>``, the newest of each device retained. What the city's
own platforms get is the whole envelope (``type = "mqtt"``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from consumer import released
from gateway import plugins
from gateway.errors import CannotSign, NotTaken, PlatformError
from gateway.platforms._beside import NOBODY, Newest
from gateway.platforms._delivery import Delivery, Rejected
from gateway.platforms._paho import COSE_SIGN1, Target, TlsSocket
from gateway.platforms._publisher import Message, Publisher
from gateway.platforms._tls import TlsSettings, tls_context
from gateway.releases.settings import ReleaseSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.platforms import Context
    from gateway.releases.release import Released

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]")
"""Neither a level nor a wildcard of a topic, nor anything that SenML does not take in a name."""


class Settings(plugins.PlatformSettings):
    """``[[platforms]]`` with ``type = "mqtt_released"``."""

    type: Literal["mqtt_released"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    topic_prefix: Annotated[str, StringConstraints(pattern=r"^[^#+\x00/][^#+\x00]*[^#+\x00/]$")] = "lykta/v1"
    username: str | None = None
    password: str | None = None
    """Reference to the password."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    tls: TlsSettings | None = None
    message_expiry_s: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 0
    """How long the broker keeps a reading for those who are away (MQTT 5); 0: as long as it likes."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 100
    retry_max_s: Annotated[float, Field(ge=0.5, le=600)] = 15.0
    release: ReleaseSettings = ReleaseSettings()

    @model_validator(mode="after")
    def _keep_the_password(self) -> Self:
        if self.password is not None and self.tls is None and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError(f"the password would travel to {self.host} in clear; add [platforms.tls]")
        return self


class MqttReleased:
    """The partner of a Delivery."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._newest = Newest()
        self._publisher = Publisher(self._target(), settings.protocol)

    async def open(self) -> None:
        """See Partner."""
        self._publisher = Publisher(self._target(), self._settings.protocol)  # password and certificates may be new
        await self._publisher.open()

    async def close(self) -> None:
        """See Partner."""
        await self._publisher.close()

    async def deliver(self, readings: Sequence[Released]) -> Sequence[Rejected]:
        """See Partner."""
        await self._publisher.send([self._message(each) for each in readings])
        return ()

    async def noted(self) -> None:
        """See Partner."""

    async def between(self) -> None:
        """See Partner."""

    def _message(self, reading: Released) -> Message:
        device = _NOT_IN_NAME.sub("-", reading.device)
        owner = _NOT_IN_NAME.sub("-", reading.facts.owner or NOBODY)
        values = {told.senml_name: told.value for told in reading.fields.values()}
        units = {told.senml_name: told.unit for told in reading.fields.values()}
        if reading.place is not None:
            values |= {"lon": reading.place[0], "lat": reading.place[1]}
            units |= {"lon": "lon", "lat": "lat"}
        return Message(
            f"{self._settings.topic_prefix}/{self._context.eui}/released/{owner}/{reading.kind}/{device}",
            self._seal(reading, released.payload(f"urn:ngsi-ld:Device:{device}:", reading.time_s, values, units)),
            COSE_SIGN1,
            retain=self._newest.is_newest(reading.device, reading.seq),
            expiry_s=self._settings.message_expiry_s,
        )

    def _seal(self, reading: Released, payload: bytes) -> bytes:
        if self._context.seal is None:
            raise PlatformError("nothing can be signed here")
        try:
            message = self._context.seal(released.headers(bytes.fromhex(reading.stream), reading.record), payload)
        except CannotSign as error:
            raise PlatformError(str(error)) from error
        if len(message) > released.MAX_BYTES:
            raise NotTaken(f"a released reading has at most {released.MAX_BYTES} bytes, this one {len(message)}")
        return message

    def _target(self) -> Target:
        settings, context = self._settings, self._context
        password = None if settings.password is None else context.secret(settings.password).decode()
        tls = None if settings.tls is None else tls_context(settings.name, settings.tls, context.base)
        if tls is not None:
            tls.sslsocket_class = TlsSocket
        client_id = f"{context.client_id}-{settings.name}"
        return Target(settings.host, settings.port, client_id, settings.keepalive_s, settings.username, password, tls)


def build(settings: Settings, context: Context) -> Delivery:
    """Return the platform of one ``[[platforms]]`` table."""
    partner = MqttReleased(settings, context)
    return Delivery(
        settings.name, partner, settings.release, context, batch=settings.batch, retry_max_s=settings.retry_max_s
    )
