# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""EUI-64 identities: what a device or gateway may be called (IEEE EUI-64; 8 bytes in display order)."""

from __future__ import annotations

import re
import secrets

from provisioning.errors import InvalidIdentity

EUI_BYTES = 8
_LOCALLY_ADMINISTERED = 0x02
_GROUP = 0x01
_SEPARATORS = str.maketrans("", "", "-: ")


def parse_eui(text: str, name: str = "DevEUI") -> bytes:
    """The 8 bytes of an EUI-64 written as 16 hexadecimal digits; `-`, `:` and spaces between them are allowed.

    Raises InvalidIdentity for anything that no device may have: another length, one repeated byte.
    """
    digits = text.translate(_SEPARATORS)
    if not re.fullmatch(r"[0-9a-fA-F]{16}", digits):
        raise InvalidIdentity(
            f"This {name} is not 16 hexadecimal digits.",
            value=repr(text[:40]),
            reason=f"The {name} is the identity of the device on the air: 8 bytes.",
            next_step="read it from the label of the device, for example 70b3d57ed0001234",
        )
    eui = bytes.fromhex(digits)
    check_eui(eui, name)
    return eui


def check_eui(eui: bytes, name: str = "DevEUI") -> None:
    """Refuse an EUI of another length, and all zeros, all ones or any other single repeated byte."""
    if len(eui) != EUI_BYTES:
        raise InvalidIdentity(f"This {name} is not {EUI_BYTES} bytes.", value=f"{len(eui)} bytes")
    if len(set(eui)) == 1:
        raise InvalidIdentity(
            f"This {name} is one byte repeated: a placeholder, not an identity.",
            value=eui.hex(),
            reason="Two devices with the same placeholder could not be told apart.",
            next_step="use the EUI of the device, or leave it out to be given a random one",
        )


def new_eui() -> bytes:
    """A random, locally administered, individual EUI-64, for devices that came without one."""
    while True:
        eui = bytearray(secrets.token_bytes(EUI_BYTES))
        eui[0] = (eui[0] | _LOCALLY_ADMINISTERED) & ~_GROUP
        if len(set(eui)) > 1:
            return bytes(eui)


def urn(eui: bytes) -> str:
    """The device URN of an EUI-64 (RFC 9039, 4.1)."""
    return f"urn:dev:mac:{eui.hex()}"
