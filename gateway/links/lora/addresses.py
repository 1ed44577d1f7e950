# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""IP addresses as the rules of this link see them: without ports, scopes and the IPv4-in-IPv6 disguise."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Host = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_BIND = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_IPV6_SITE_BITS = 64


def parse_bind(text: str) -> tuple[Host, int]:
    """Split ``192.0.2.1:1700`` or ``[::]:1700``. Raises ValueError, which says what is allowed."""
    match = _BIND.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not ADDRESS:PORT, such as 0.0.0.0:1700 or [::]:1700")
    port = int(match[3])
    if port > 65535:
        raise ValueError(f"port {port} does not exist; the highest is 65535")
    return ip_address(match[1] or match[2]), port


@lru_cache(maxsize=1024)
def host(text: str) -> Host:
    """Return the address that the socket wrote as *text*."""
    found = ip_address(text.partition("%")[0])
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


@lru_cache(maxsize=1024)
def source(text: str) -> str:
    """Return whom to hold to account for a sender: one host, or in IPv6 the /64 that one site has to itself."""
    address = host(text)
    return f"{int(address) >> _IPV6_SITE_BITS:x}::/64" if isinstance(address, IPv6Address) else str(address)
