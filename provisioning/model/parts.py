# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The sections of a device record: who answers for it, where it stands, what it is made of, what it costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provisioning.model.base import (
    MAX_ITEMS,
    Day,
    DeviceId,
    EndDate,
    Eui,
    Fingerprint,
    LongText,
    Model,
    Moment,
    OrgId,
    Reference,
    Share,
    StoreRef,
    Text,
    Url,
)

NotNegative = Annotated[float, Field(ge=0)]


class Need(Model):
    summary: LongText | None = None
    ref: Text | None = None


class Project(Model):
    id: Reference
    name: Text | None = None
    start: Day | None = None
    benefit_measure: Text | None = None
    benefit_by: Day | None = None
    benefit_value: Text | None = None
    """What came out, once it is known."""


class Owner(Model):
    org_id: OrgId
    contact: Text | None = None
    """A function's mailbox, never a private person's."""


class CoOwner(Model):
    org: OrgId
    share_pct: Share


class Operator(Model):
    org: Text
    """An organisation's id, or a contractor's name."""
    contract_ref: Reference | None = None


class Management(Model):
    org: OrgId
    role: Text


class Asset(Model):
    """What it is mounted on: the pole, the bin, the signal."""

    id: Reference
    type: Literal["pole", "bin", "signal", "cabinet", "building", "bay", "container", "other"]
    owner_org: OrgId | None = None
    consent_ref: Reference | None = None


class Location(Model):
    """WGS 84, degrees and metres."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    height_m: Annotated[float, Field(ge=-500, le=1000)] | None = None
    accuracy_m: NotNegative | None = None
    address: Text | None = None
    district: Text | None = None
    site_type: Literal["street_canyon", "open", "park", "square", "tunnel", "water"] | None = None
    indoor: bool = False
    segment_id: Reference | None = None
    direction: Text | None = None
    protected: bool = False
    public_place: bool = True


class DeviceModel(Model):
    maker: Text
    name: Text
    hw_rev: Text | None = None
    placed_on_market: Day | None = None
    ce_doc: Reference | Url | None = None
    red_18031: Reference | Url | None = None
    cra_doc: Reference | Url | None = None


class Firmware(Model):
    version: Text
    checked: Day | None = None
    sbom_ref: Reference | Url | None = None


class Support(Model):
    until: EndDate | None = None
    policy_url: Url | None = None
    vdp_url: Url | None = None
    update: Literal["none", "local", "ota_signed", "ota_unsigned"] | None = None
    isolable: bool | None = None


class Interface(Model):
    type: Text
    enabled: bool
    auth: Text | None = None


class Identity(Model):
    dev_eui: Eui | None = None
    join_eui: Eui | None = None
    serial: Text | None = None


class Credentials(Model):
    """How it proves who it is. Never the secret: a fingerprint and where the secret is kept."""

    kind: Literal["otaa", "abp", "x509", "psk"]
    fingerprint: Fingerprint | None = None
    store_ref: StoreRef | None = None
    rotated: Day | None = None


class LinkTest(Model):
    """A test of coverage where the device stands."""

    at: Moment
    uplinks: Annotated[int, Field(ge=0)]
    received: Annotated[int, Field(ge=0)]
    snr_margin_db: float | None = None


class Network(Model):
    type: Literal["lorawan", "nbiot", "ltem", "4g5g", "fibre", "ethernet", "wifi"]
    service_id: Reference | None = None
    operator: Text | None = None
    gateway_ids: Annotated[tuple[Reference, ...], Field(max_length=MAX_ITEMS)] = ()
    own_gateway: bool = False
    coverage_ref: Reference | None = None
    link_test: LinkTest | None = None
    security: Text | None = None
    """Of the transport: `lorawan`, `tls1.3-mutual`, `dtls1.2`, `none`."""


class Radio(Model):
    """The plan of a device on EU863-870."""

    plan: Text
    freqs: Annotated[tuple[Annotated[float, Field(gt=100, lt=3000)], ...], Field(max_length=MAX_ITEMS)] = ()
    """MHz."""
    power_dbm: float | None = None
    antenna_dbi: float = 0.0
    cable_db: NotNegative = 0.0
    sf_max: Annotated[int, Field(ge=5, le=12)] | None = None
    payload_b: Annotated[int, Field(ge=0, le=242)] | None = None
    uplinks_h: NotNegative | None = None
    retries: Annotated[int, Field(ge=1, le=15)] = 1
    confirmed: bool = False
    adr: bool | None = None
    downlink_pct: Annotated[float, Field(ge=0, le=100)] | None = None
    """Of a gateway: planned share of time on air, per cent."""


class PlatformUse(Model):
    id: Reference
    kind: Literal["common", "local"]
    approval_ref: Reference | None = None
    application: Text | None = None


class PersonalData(Model):
    level: Literal["none", "possible", "yes"]
    controller: OrgId | None = None
    basis: Text | None = None
    ropa_id: Reference | None = None
    screening: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] | None = None
    """The criteria of the supervisory authority's list that hold; empty when it was filled in and none does."""
    dpia_ref: Reference | None = None
    dpia_date: Day | None = None
    dpo: Text | None = None
    dpo_reason: LongText | None = None
    info_url: Url | None = None
    sign: Text | None = None
    balance_ref: Reference | None = None
    """The documented balance of interests of camera surveillance."""


class Search(Model):
    """A search for devices that could be used together instead of a new one."""

    time: Moment
    R: NotNegative | None = None
    """Radius in metres."""
    rev: Annotated[int, Field(ge=0)]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    candidates: Annotated[tuple[DeviceId, ...], Field(max_length=10_000)] = ()


class Sharing(Model):
    search: Search | None = None
    dialogue_ref: Reference | None = None
    shareable: bool | None = None
    potential_users: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] | None = None
    no_users_reason: Text | None = None


class Codec(Model):
    id: Reference
    version: Text | None = None
    licence: Text | None = None
    """SPDX."""
    test_vectors: Reference | Url | None = None
    vendor_cloud: bool = False


class Contract(Model):
    ref: Reference
    until: Day | None = None
    data_export: bool | None = None
    interface_docs: bool | None = None
    keys_handover: bool | None = None
    multi_user_right: bool | None = None
    data_act_access: bool | None = None


class Cost(Model):
    """Swedish kronor."""

    bearer: OrgId
    cost_centre: Text | None = None
    invest_sek: NotNegative | None = None
    run_sek_y: NotNegative | None = None
    funding_until: Day | None = None
    decision_ref: Reference | None = None
    price_item: Text | None = None
    saved_sek: NotNegative | None = None


class Failsafe(Model):
    state: Text
    manual_override: bool
    commands_authenticated: bool | None = None


class Kpi(Model):
    component: Text
