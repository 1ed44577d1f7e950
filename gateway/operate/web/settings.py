# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``[operate]`` of gateway.toml."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MIN_PORT, MAX_PORT = 0, 65535


class TlsFiles(BaseModel):
    """``[operate.tls]``: PEM files."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cert: str
    key: str


class OperateSection(BaseModel):
    """The status page, and who may look at it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    listen: str = ""
    """Address and port, such as ``127.0.0.1:8470``; empty: no page."""
    password: str | None = None
    """Reference to the password of the user ``operator``."""
    token: str | None = None
    """Reference to the token that POST /reload needs; without it there is no such request."""
    tls: TlsFiles | None = None
    hosts: list[str] = []
    """Further names by which browsers reach the page. Others are refused: no foreign page can ask through them."""
    positions: str | None = None
    """CSV file with the columns dev_eui, latitude_deg, longitude_deg, for the map."""
    devices: Annotated[int, Field(ge=0, le=500)] = 200
    """Devices on the page: those heard last."""

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str) -> str:
        if listen:
            parse_listen(listen)
        return listen

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.listen and not parse_listen(self.listen)[0].is_loopback and (self.tls is None or self.password is None):
            raise ValueError(
                f"{self.listen} can be reached from other machines: that needs [operate.tls] and operate.password; "
                f"or listen on 127.0.0.1 and reach it through ssh -L"
            )
        return self


def parse_listen(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    """Return address and port. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or not MIN_PORT <= int(port[:6]) <= MAX_PORT:
        raise ValueError(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:8470")
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")), int(port)
    except ValueError as error:
        raise ValueError(f"{host!r} is not an IP address; write 127.0.0.1:8470 or [::1]:8470") from error
