# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""``gateway.toml``: strict; relative paths are relative to the file; secrets are references, never values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, model_validator

from firmware.wire import region
from firmware.wire.kinds import terms
from gateway import division, identity, links, platforms, workers
from gateway.errors import IdentityError
from gateway.network.channels import MAX_ADDED
from gateway.network.options import DEFAULT_RX2_DR, GATEWAY_CHANNELS, Channel, Options, ProfileRule
from gateway.network.share import Share
from gateway.operate.web.settings import OperateSection
from gateway.outbox.store import Limits
from gateway.plugins import Settings, settings_type
from gateway.records import decoders
from gateway.workers import WorkersSection
from provisioning import strict_toml
from provisioning.secret_refs import load_secret

if TYPE_CHECKING:
    from pathlib import Path

    LinkSettings = Settings
    PlatformSettings = Settings
else:
    LinkSettings = settings_type(links)
    PlatformSettings = settings_type(platforms)


def _is_kind(name: str) -> str:
    if name not in terms.names():
        raise ValueError(f"{name!r} is no kind of device; there are: {', '.join(terms.names())}")
    return name


def _is_decoder(name: str) -> str:
    if name not in decoders.names():
        raise ValueError(f"{name!r} is no decoder; there are: {', '.join(decoders.names())}")
    return name


KindName = Annotated[str, AfterValidator(_is_kind)]


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
    password: str | None = None
    """Reference to the password of the database's user, where the register is not a file."""


def _may_be_used(freq_hz: int) -> int:
    if region.band_of(freq_hz) is None or freq_hz % 100:
        raise ValueError(f"{freq_hz} Hz is no frequency for LoRaWAN in Europe (863 to 870 MHz, in steps of 100 Hz)")
    return freq_hz


Frequency = Annotated[int, AfterValidator(_may_be_used)]
DataRate = Annotated[int, Field(ge=0, le=region.MAX_DR)]


class ChannelSection(_Section):
    """``[[network.channels]]``: an uplink channel."""

    freq_hz: Frequency
    min_dr: DataRate = region.MIN_DR
    max_dr: DataRate = region.MAX_DEFAULT_DR
    rx1_hz: Frequency | None = None
    """Where RX1 listens after a frame on this channel, if elsewhere."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_dr > self.max_dr:
            raise ValueError(f"min_dr is {self.min_dr}, above max_dr {self.max_dr}")
        if self.freq_hz in region.DEFAULT_CHANNELS_HZ and (self.min_dr, self.max_dr) != (0, region.MAX_DEFAULT_DR):
            raise ValueError(f"{self.freq_hz} Hz is a default channel, whose data rates are 0 to 5 (RP002 section 2.4)")
        return self

    def channel(self) -> Channel:
        """Return what the network stage takes."""
        return Channel(self.freq_hz, self.min_dr, self.max_dr, self.rx1_hz)


class ProfileSection(_Section):
    """``[[network.profiles]]``: devices that are not as their kind. What is not given stays as it is."""

    match: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,16}$")]
    """The first hex digits of their DevEUI or JoinEUI."""
    device_class: Literal["A", "C"] | None = None
    random_dev_nonce: bool | None = None
    rx1_delay_s: Annotated[int, Field(ge=1, le=15)] | None = None
    rx2_dr: DataRate | None = None
    rx2_hz: Frequency | None = None
    adr: bool | None = None
    adr_margin_db: Annotated[float, Field(ge=0, le=30)] | None = None
    max_dr: DataRate | None = None
    max_eirp_dbm: Annotated[int, Field(ge=2, le=region.MAX_EIRP_DBM)] | None = None
    status_every_h: Annotated[float, Field(ge=0, le=8760)] | None = None
    decoder: Annotated[str, AfterValidator(_is_decoder)] | None = None
    """Who reads its payloads, when it is not one of ours: a file of gateway/records/decoders."""

    def rule(self) -> ProfileRule:
        """Return what the network stage takes."""
        given: dict[str, object] = self.model_dump(exclude_none=True)
        match = str(given.pop("match"))
        if self.device_class is not None:
            given["class_c"] = given.pop("device_class") == "C"
        if self.status_every_h is not None:
            del given["status_every_h"]
            given["status_every_s"] = self.status_every_h * 3600
        return ProfileRule(match, given)


class NetworkSection(_Section):
    """The LoRaWAN network that this gateway is."""

    net_id: Annotated[int, Field(ge=0, le=0x3F)] = 1
    """NetID of type 0; 0 and 1 are for private networks (TS002 section 3)."""
    dedup_ms: Annotated[int, Field(ge=0, le=500)] = 200
    """How long a radio frame waits for what other gateways heard of it. RX1 opens at ``rx1_delay_s``."""
    rx1_delay_s: Annotated[int, Field(ge=1, le=15)] = 1
    """From the end of a device's frame to RX1. More than 1 for gateways behind a slow network."""
    rx2_dr: Annotated[int, Field(ge=0, le=region.MAX_DR)] = DEFAULT_RX2_DR
    """Data rate of RX2; devices that joined before are told with RXParamSetupReq."""
    adr: bool = True
    """Whether devices are told faster data rates and less power where their signal allows."""
    adr_margin_db: Annotated[float, Field(ge=0, le=30)] = 10.0
    """Signal that is left over for bad days."""
    status_every_h: Annotated[float, Field(ge=0, le=8760)] = 24.0
    """How often a device on radio is asked for its battery; 0: never."""
    class_c: list[KindName] = ["street_light"]
    """Kinds whose devices are of class C when they are on LoRa; all others are of class A."""
    random_dev_nonce: list[KindName] = []
    """Kinds whose devices draw DevNonces at random (LoRaWAN before 1.0.4); all others must count upwards."""

    channels: Annotated[list[ChannelSection], Field(max_length=region.MAX_CHANNELS)] = [
        ChannelSection(freq_hz=each.freq_hz) for each in GATEWAY_CHANNELS
    ]
    """Uplink channels beside 868.1, 868.3 and 868.5 MHz."""
    profiles: list[ProfileSection] = []
    """What some devices have that differs."""
    _share: Share = PrivateAttr(default=Share())

    @property
    def share(self) -> Share:
        """Which devices are this process's: all of them, unless it is a worker."""
        return self._share

    def of(self, share: Share) -> NetworkSection:
        """Return the same for the devices of a worker."""
        found = self.model_copy()
        found._share = share
        return found

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        frequencies = [each.freq_hz for each in self.channels]
        if len(set(frequencies)) < len(frequencies):
            raise ValueError("channels: a frequency is given twice")
        added = [freq_hz for freq_hz in frequencies if freq_hz not in region.DEFAULT_CHANNELS_HZ]
        if len(added) > MAX_ADDED:
            raise ValueError(f"channels: {len(added)} beside the default ones; a device has room for {MAX_ADDED}")
        return self

    def options(self) -> Options:
        """Return what the network stage takes."""
        return Options(
            class_c=frozenset(self.class_c),
            random_dev_nonce=frozenset(self.random_dev_nonce),
            rx1_delay_s=self.rx1_delay_s,
            rx2_dr=self.rx2_dr,
            channels=tuple(each.channel() for each in self.channels),
            profiles=tuple(each.rule() for each in self.profiles),
            adr=self.adr,
            adr_margin_db=self.adr_margin_db,
            status_every_s=self.status_every_h * 3600,
            share=self._share,
        )


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
    """Hours of use."""
    when_full: Literal["refuse", "drop"] = "refuse"
    """What to do when ``max_bytes`` is full of what no platform took: give no more receipts, so that devices keep their
    readings; or give up open telemetry first and alarms last, with a signed notice of each loss."""
    max_age_h: Annotated[float, Field(ge=0, le=87600)] = 0
    """How long what no platform took may wait, in hours of use, before it is given up with a notice; 0: for ever."""


class GuidelinesSection(_Section):
    """The city's rules, of which this gateway watches those that can be heard."""

    pack: str | None = None
    """Path of the signed rule pack. None, or no such file: the proposal that comes with the program."""
    every_s: Annotated[float, Field(ge=0.1, le=86400)] = 60
    """How often they are asked."""


class Config(_Section):
    """The whole file."""

    gateway: GatewaySection
    register_: Annotated[RegisterSection, Field(alias="register")]
    network: NetworkSection = NetworkSection()
    records: RecordsSection = RecordsSection()
    outbox: OutboxSection = OutboxSection()
    operate: OperateSection = OperateSection()
    guidelines: GuidelinesSection = GuidelinesSection()
    workers: WorkersSection = WorkersSection()
    links: Annotated[list[LinkSettings], Field(min_length=1)]
    platforms: list[PlatformSettings] = []

    def limits(self) -> Limits:
        """Return what the outbox takes."""
        return Limits(
            max_batch=self.records.max_batch,
            max_bytes=self.outbox.max_bytes,
            keep_published_s=self.outbox.keep_published_h * 3600.0,
            when_full=self.outbox.when_full,
            max_age_s=self.outbox.max_age_h * 3600.0,
            receipts_from=frozenset(each.name for each in self.platforms if getattr(each, "receipts", ())),
        )

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        for area, entries in (("links", self.links), ("platforms", self.platforms)):
            seen: set[str] = set()
            for entry in entries:
                if entry.name in seen:
                    raise ValueError(f"{area}: the name {entry.name!r} is given twice; each needs its own")
                seen.add(entry.name)
        if found := workers.refusals(self.workers, self.links, self.platforms):
            raise ValueError("; ".join(found))
        return self


@dataclass(frozen=True)
class Loaded:
    """A configuration and where it came from."""

    path: Path
    config: Config
    worker: int = 0
    """Which one, from 1; 0: the only process, or the front."""

    @property
    def base(self) -> Path:
        """The directory that relative paths start from."""
        return self.path.parent

    @property
    def state_root(self) -> Path:
        """The state directory of all workers."""
        return self.base / self.config.gateway.state_dir

    @cached_property
    def state_dir(self) -> Path:
        """Where databases, lock and counters live. Raises NotDivided."""
        return division.place(self.state_root, self.config.workers.count, self.worker)

    @property
    def links(self) -> list[LinkSettings]:
        """The links, their relative paths taken from the file's directory."""
        return [each.located(self.base) for each in self.config.links]

    @property
    def certificate_path(self) -> Path:
        """The gateway's certificate."""
        return self.base / self.config.gateway.certificate

    def guidelines(self) -> tuple[Path | None, float]:
        """Where the rule pack is, if it is anywhere, and how often it is asked, in seconds."""
        settings = self.config.guidelines
        return None if settings.pack is None else self.base / settings.pack, settings.every_s

    def password(self) -> str | None:
        """Fetch the password of the register's database; None where it needs none."""
        reference = self.config.register_.password
        return None if reference is None else self.secret(reference).decode(errors="replace")

    def secret(self, reference: str) -> bytes:
        """Fetch what *reference* points to. Raises provisioning.errors.SecretError."""
        return load_secret(reference, self.base)


def load(path: Path, worker: int = 0) -> Loaded:
    """Read the file, as it is for a worker. Raises provisioning.errors.ConfigError with file, key path, value and what
    is allowed; NotDivided.
    """
    path = path.absolute()
    found = strict_toml.load(path, Config)
    if not worker:
        return Loaded(path, found)
    section = found.workers
    changed = {
        "network": found.network.of(workers.share(section, worker, path.parent / found.gateway.state_dir)),
        "operate": workers.operate_of(found.operate, worker),
        "links": workers.links_of(section, worker, found.links) if section.count > 1 else found.links,
    }
    return Loaded(path, found.model_copy(update=changed), worker)


def load_identity(loaded: Loaded) -> identity.Identity:
    """Load the gateway's key and certificate. Raises IdentityError, provisioning.errors.SecretError."""
    section = loaded.config.gateway
    try:
        certificate = loaded.certificate_path.read_bytes()
    except OSError as error:
        raise IdentityError(f"The certificate {loaded.certificate_path} cannot be read: {error}") from error
    return identity.load(section.eui, loaded.secret(section.key), certificate)
