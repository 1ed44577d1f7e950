# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The record of a device: everything the guidelines ask about it (section 3).

What is not stated is None or empty: the record says what is known, the rules say what has to be. A field that must be
there and is not is a finding with a remedy, not an error of form. What is refused here is what nobody can mean: an
unknown key, a wrong type, a latitude of 200.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from provisioning.model import parts
from provisioning.model.base import MAX_ITEMS, DeviceId, LongText, Model, Moment, Reference, Text
from provisioning.model.lifecycle import Lifecycle
from provisioning.model.streams import Stream

Kind = Literal[
    "streetlight_controller",
    "waste_level",
    "traffic_counter",
    "signal_detector",
    "ped_bike_counter",
    "air",
    "noise",
    "weather",
    "water",
    "soil",
    "parking",
    "gateway",
    "other",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Role = Literal["sensor", "actuator", "both", "gateway"]
SensingTech = Literal[
    "loop",
    "radar",
    "lidar",
    "camera",
    "anpr",
    "audio",
    "wifi_sniff",
    "bt_sniff",
    "pir",
    "thermal",
    "ultrasonic",
    "photo",
    "power_meter",
    "thermometer",
    "chem",
]

WIRE_KINDS: Final[dict[Kind, str]] = {
    "streetlight_controller": "street_light",
    "waste_level": "waste_bin",
    "traffic_counter": "traffic",
}
"""What a kind of the guidelines speaks on the air when the record does not say (firmware/wire/kinds)."""


class DeviceRecord(Model):
    """A device as the register knows it. `id`, `urn`, `approvals` to `evaluated_at` are given by the register."""

    id: DeviceId | None = None
    urn: Annotated[str, Field(pattern=r"^urn:ngsi-ld:Device:[A-Za-z0-9:._-]{1,128}$")] | None = None
    name: Text | None = None
    """What people call it: unique in the register where it is given."""
    batch: Reference | None = None
    """Devices of one batch are bought, evaluated and approved together."""
    kind: Kind
    wire_kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    """What it speaks on the air (firmware/wire/kinds); None: what its kind usually speaks."""
    role: Role | None = None
    external: bool = False
    """Not the city's own: registered for coverage and co-use, without the internal rules (R-34)."""
    unique_purpose: bool = False
    unique_purpose_text: LongText | None = None
    need: parts.Need | None = None
    project: parts.Project | None = None
    owner: parts.Owner | None = None
    co_owners: Annotated[tuple[parts.CoOwner, ...], Field(max_length=MAX_ITEMS)] = ()
    operator: parts.Operator | None = None
    management: parts.Management | None = None
    asset: parts.Asset | None = None
    location: parts.Location | None = None
    model: parts.DeviceModel | None = None
    firmware: parts.Firmware | None = None
    support: parts.Support | None = None
    sensing_tech: Annotated[tuple[SensingTech, ...], Field(max_length=MAX_ITEMS)] | None = None
    tracking: bool = False
    """It can follow a person or a vehicle, for instance a radar with tracking."""
    onboard_ai: Literal["none", "detection", "classification", "tracking"] | None = None
    interfaces: Annotated[tuple[parts.Interface, ...], Field(max_length=MAX_ITEMS)] = ()
    debug_disabled: bool | None = None
    controls: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] = ()
    """Security controls it has, in the words of the rule pack (SEC-2)."""
    incident_contact: Text | None = None
    identity: parts.Identity | None = None
    credentials: parts.Credentials | None = None
    network: parts.Network | None = None
    radio: parts.Radio | None = None
    streams: Annotated[tuple[Stream, ...], Field(max_length=MAX_ITEMS)] = ()
    platform: parts.PlatformUse | None = None
    personal_data: parts.PersonalData | None = None
    share: parts.Sharing | None = None
    standards: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] = ()
    codec: parts.Codec | None = None
    contract: parts.Contract | None = None
    cost: parts.Cost | None = None
    lifecycle: Lifecycle = Lifecycle()
    failsafe: parts.Failsafe | None = None
    store_forward_h: Annotated[float, Field(ge=0)] | None = None
    kpi: parts.Kpi | None = None
    approvals: Annotated[tuple[Reference, ...], Field(max_length=MAX_ITEMS)] = ()
    waivers: Annotated[tuple[Reference, ...], Field(max_length=MAX_ITEMS)] = ()
    rulepack_version: Text | None = None
    evaluated_at: Moment | None = None

    @property
    def dev_eui(self) -> str | None:
        """16 lower-case hexadecimal digits, None for a device that does not speak LoRaWAN frames."""
        return None if self.identity is None else self.identity.dev_eui

    @property
    def owner_org(self) -> str | None:
        """The id of the organisation that answers for it."""
        return None if self.owner is None else self.owner.org_id

    @property
    def fingerprint(self) -> str | None:
        """Of its credential."""
        return None if self.credentials is None else self.credentials.fingerprint
