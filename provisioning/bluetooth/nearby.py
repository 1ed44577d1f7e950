# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which registered device advertises: only who holds its AppKey can say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from firmware.wire import console, gatt
from firmware.wire.errors import Malformed
from provisioning.bluetooth.radio import Found
from provisioning.entries import Device
from provisioning.errors import ProvisioningError
from provisioning.registry import Registry

if TYPE_CHECKING:
    from firmware.wire.crypto import Encrypt


def ecb(key: bytes) -> Encrypt:
    """AES-128 for the wire's injected cryptography."""
    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update  # noqa: S305  LoRaWAN builds on raw blocks


@dataclass(frozen=True)
class Known:
    """A device that may talk; its console key follows from its AppKey, which is not kept."""

    device: Device
    hint: Encrypt = field(repr=False)
    console_key: bytes = field(repr=False)


class Directory:
    """Recognises hints."""

    def __init__(self, known: Iterable[Known]) -> None:
        self._known = list(known)

    @classmethod
    def of(cls, registry: Registry, devices: Iterable[Device] | None = None) -> Directory:
        """All devices of the register that may talk, or some of them. One without a usable key is left out."""
        known = []
        for device in registry.devices() if devices is None else devices:
            if device.state != "registered":
                continue
            try:
                encrypt = ecb(registry.app_key(device.dev_eui))
            except ProvisioningError:
                continue
            known.append(Known(device, ecb(gatt.hint_key(encrypt)), console.derived_key(encrypt)))
        return cls(known)

    def who(self, found: Found) -> Known | None:
        """The device of an advertisement, None for a stranger's."""
        try:
            gatt.flags_of(found.hint)
        except Malformed:
            return None
        return next((known for known in self._known if gatt.is_from(known.hint, found.hint)), None)
