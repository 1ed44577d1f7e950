# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRa: a server for any number of Semtech UDP packet forwarders ("GWMP"), which are the radios of this gateway.

The protocol authenticates nobody. What can be done without changing it is done here: only registered gateways, each
held to its address (``allow``, ``pin_s``); answers match by gateway and token; downlinks go nowhere but to the last
PULL_DATA of their gateway. On a network that others can write to, put the forwarders behind WireGuard all the same.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from gateway import plugins
from gateway.links.lora.addresses import parse_bind
from gateway.links.lora.server import LoraLink

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.operate.counters import Counters


class ForwarderSettings(BaseModel):
    """``[[links.gateways]]``: one registered packet forwarder."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    eui: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """EUI-64 as its ``gateway_ID``, 16 lower-case hex digits."""
    allow: list[str] = []
    """Addresses or networks that it may send from (``192.0.2.7``, ``10.8.0.0/16``); empty: any."""
    antenna_dbi: Annotated[float, Field(ge=-20, le=30)] = 2.15
    """Gain of its antenna, less the loss of its cable. The limits are e.r.p., that of a dipole, which has 2.15 dBi."""

    @field_validator("allow")
    @classmethod
    def _networks(cls, allow: list[str]) -> list[str]:
        for text in allow:
            ip_network(text)
        return allow


class Settings(plugins.Settings):
    """``[[links]]`` with ``type = "lora"``."""

    type: Literal["lora"]
    bind: str = "127.0.0.1:1700"
    """Address and UDP port to listen on. Port 0 takes any free one."""
    gateways: Annotated[list[ForwarderSettings], Field(min_length=1)]
    pin_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    """A gateway that was heard within this time is not believed from another address."""
    away_s: Annotated[float, Field(ge=1, le=86400)] = 180.0
    """Without PULL_DATA for this long, a gateway gets no downlinks. Forwarders send one every 5 to 60 s."""
    ack_wait_s: Annotated[float, Field(ge=0.01, le=60)] = 3.0
    """How long to wait for TX_ACK."""
    rate_per_s: Annotated[float, Field(gt=0, le=1e6)] = 200.0
    """Datagrams a second from one gateway, or from one source address as long as no gateway is known there; lasting."""
    rate_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 400
    """Datagrams at once, counted likewise."""
    receive_buffer_bytes: Annotated[int, Field(ge=4096, le=1 << 28)] = 4 << 20
    """What the kernel holds while the daemon is busy; the kernel's own limit is net.core.rmem_max."""
    _bundled: bool = PrivateAttr(default=False)

    @property
    def bundled(self) -> bool:
        """Whether the sender is the front of several workers, which sends many PUSH_DATA in one datagram."""
        return self._bundled

    def behind_front(self, **changes: object) -> Self:
        """Return the same link of a worker, with some changes."""
        copy = self.model_copy(update=changes)
        copy._bundled = True
        return copy

    @field_validator("bind")
    @classmethod
    def _address(cls, bind: str) -> str:
        parse_bind(bind)
        return bind

    @field_validator("gateways")
    @classmethod
    def _once(cls, gateways: list[ForwarderSettings]) -> list[ForwarderSettings]:
        euis = [gateway.eui for gateway in gateways]
        for eui in euis:
            if euis.count(eui) > 1:
                raise ValueError(f"gateway {eui} is listed twice")
        return gateways


def build(settings: Settings, clock: Clock, counters: Counters) -> LoraLink:
    """Return the link of one ``[[links]]`` table."""
    return LoraLink(settings, clock, counters)
