# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``gateway.toml``: strict; relative paths are relative to the file; secrets are references, never values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway import links, platforms
from gateway.plugins import Settings, settings_type
from provisioning import strict_toml
from provisioning.secret_refs import load_secret

if TYPE_CHECKING:
    from pathlib import Path

    LinkSettings = Settings
    PlatformSettings = Settings
else:
    LinkSettings = settings_type(links)
    PlatformSettings = settings_type(platforms)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GatewaySection(_Section):
    """Who this gateway is, and where it keeps its state."""

    eui: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """EUI-64, 16 lower-case hex digits."""
    state_dir: str = "state"
    key: str
    """Reference to the private key (PEM)."""
    certificate: str
    """Path of the certificate (PEM)."""


class RegisterSection(_Section):
    """The register of devices."""

    url: str
    kek: str
    """Reference to the key that the device keys are encrypted under."""


class NetworkSection(_Section):
    """The LoRaWAN network that this gateway is."""

    net_id: Annotated[int, Field(ge=0, le=0x3F)] = 1
    """NetID of type 0; 0 and 1 are for private networks (TS002 section 3)."""


class RecordsSection(_Section):
    """How readings become signed envelopes."""

    max_batch: Annotated[int, Field(ge=1, le=256)] = 16
    """Readings in one envelope, at most."""
    max_wait_ms: Annotated[int, Field(ge=0, le=1000)] = 5
    """How long the first frame of a commit waits for company."""


class OutboxSection(_Section):
    """What is kept on disk."""

    max_bytes: Annotated[int, Field(ge=262144)] = 1024**3
    keep_published_h: Annotated[float, Field(ge=0, le=87600)] = 72


class Config(_Section):
    """The whole file."""

    gateway: GatewaySection
    register_: Annotated[RegisterSection, Field(alias="register")]
    network: NetworkSection = NetworkSection()
    records: RecordsSection = RecordsSection()
    outbox: OutboxSection = OutboxSection()
    links: Annotated[list[LinkSettings], Field(min_length=1)]
    platforms: list[PlatformSettings] = []

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        for area, entries in (("links", self.links), ("platforms", self.platforms)):
            seen: set[str] = set()
            for entry in entries:
                if entry.name in seen:
                    raise ValueError(f"{area}: the name {entry.name!r} is given twice; each needs its own")
                seen.add(entry.name)
        return self


@dataclass(frozen=True)
class Loaded:
    """A configuration and where it came from."""

    path: Path
    config: Config

    @property
    def base(self) -> Path:
        """The directory that relative paths start from."""
        return self.path.parent

    @property
    def state_dir(self) -> Path:
        """Where databases, lock and counters live."""
        return self.base / self.config.gateway.state_dir

    @property
    def links(self) -> list[LinkSettings]:
        """The links, their relative paths taken from the file's directory."""
        return [each.located(self.base) for each in self.config.links]

    @property
    def certificate_path(self) -> Path:
        """The gateway's certificate."""
        return self.base / self.config.gateway.certificate

    def secret(self, reference: str) -> bytes:
        """Fetch what *reference* points to. Raises provisioning.errors.SecretError."""
        return load_secret(reference, self.base)


def load(path: Path) -> Loaded:
    """Read the file. Raises provisioning.errors.ConfigError with file, key path, value and what is allowed."""
    path = path.absolute()
    return Loaded(path, strict_toml.load(path, Config))
