# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What provisioning refuses, one type per reason. Each error carries what a person needs to go on.

A technician sees four things: what is wrong, the value that was found, why it matters and what to do next.
"""

from __future__ import annotations

from typing import NamedTuple


class ProvisioningError(Exception):
    """Root of everything provisioning refuses.

    `state` says what is wrong, `value` is what was found (never a secret), `reason` why it matters,
    `next_step` what to do about it: a command to copy, where there is one.
    """

    def __init__(self, state: str, *, value: object = None, reason: str = "", next_step: str = "") -> None:
        super().__init__(state)
        self.state = state
        self.value = value
        self.reason = reason
        self.next_step = next_step

    def __str__(self) -> str:
        found = "" if self.value is None else f" (found: {self.value})"
        return f"{self.state}{found}"

    def lines(self) -> list[str]:
        """The error as lines of text for a terminal."""
        parts = (
            ("", self.state),
            ("found: ", self.value),
            ("why:   ", self.reason or None),
            ("next:  ", self.next_step or None),
        )
        return [f"{label}{part}" for label, part in parts if part is not None]


class ConfigError(ProvisioningError, ValueError):
    """A configuration file is missing, not TOML, or does not follow its schema."""


class SecretError(ProvisioningError, LookupError):
    """A secret reference is malformed, or what it refers to cannot be read or is not kept safe."""


class WrongKek(ProvisioningError, ValueError):
    """The key-encryption key is not the one this register was made with."""


class TamperedSecret(ProvisioningError, ValueError):
    """An encrypted secret does not belong to this device or purpose, or was changed."""


class InvalidIdentity(ProvisioningError, ValueError):
    """A DevEUI, JoinEUI or gateway EUI that no device may have."""


class UnknownKind(ProvisioningError, ValueError):
    """A kind of device that has no file in firmware/wire/kinds."""


class UnknownDevice(ProvisioningError, LookupError):
    """No device with this DevEUI is in the register."""


class DuplicateEntry(ProvisioningError, ValueError):
    """The register already holds a device or gateway with this identity, name or key."""


class AlreadyExists(ProvisioningError, ValueError):
    """A file or city that would have to be overwritten. Nothing is ever overwritten."""


class NotACity(ProvisioningError, LookupError):
    """The directory holds no lykta.toml."""


class RegisterError(ProvisioningError, RuntimeError):
    """The register cannot be opened, read or written."""


class PkiError(ProvisioningError, ValueError):
    """A certificate or key of the city does not fit its purpose."""


class BrokerError(ProvisioningError, ConnectionError):
    """The MQTT broker cannot be used."""


class BoardError(ProvisioningError, RuntimeError):
    """A board or its image cannot be made or run."""


class DemoError(ProvisioningError, RuntimeError):
    """A part of the demo did not start, or ended too early."""


class LogBroken(ProvisioningError, ValueError):
    """The log of the register is not what was written."""


class Refusal(NamedTuple):
    """Who was refused, and by which rules."""

    kind: str
    rules: tuple[str, ...]
    rulepack_version: str
    name: str | None = None
    dev_eui: str | None = None
    owner: str | None = None
    device_id: str | None = None
    """Of a device that is registered already, and may not go on."""


class RefusedByRules(ProvisioningError, ValueError):
    """The city's guidelines do not let this record into the register, or on to its next stage."""

    refusal: Refusal | None = None


class StaleRevision(ProvisioningError, ValueError):
    """The register has changed since somebody looked at it and decided."""


class WrongStage(ProvisioningError, ValueError):
    """A device cannot go from its stage to the one that was asked for."""


class PaperError(ProvisioningError, ValueError):
    """An approval, waiver or dialogue is not signed by somebody who may, or does not follow its schema."""


class ImportRefused(ProvisioningError, ValueError):
    """A batch of records holds some that cannot be registered."""


class NotInstalled(ProvisioningError, ImportError):
    """A command needs a package of the extra set."""


class OrderError(ProvisioningError, ValueError):
    """A command or a setting that this kind of device does not have, or a value that it cannot take."""


class ReceiverError(ProvisioningError, OSError):
    """The store of received readings cannot be opened or written."""


class BluetoothError(ProvisioningError, OSError):
    """Bluetooth is not there, a board is not in reach, or it does not answer as its device would."""


class ContactLost(BluetoothError):
    """A connection to a board did not come about or ended, or an answer did not come: another try may do better."""
