# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How many boards the demo has, how they talk to the gateway, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provisioning.errors import DemoError

LINKS: Final = ("lora", "serial", "ble", "all")
KINDS: Final = {"street_light": "street light", "waste_bin": "waste bin", "traffic": "traffic sensor"}
MAX_DEVICES: Final = 200  # each is a process or two on this computer

_SERIAL_INTERVAL_S: Final = 1.0
# A reading takes 0.1 s on air with SF7 and 0.7 s with SF10. In EU868 a device may use 1 % of each of two bands.
_LORA_INTERVAL_S: Final = 10.0
# The gateway has the same 1 % for all receipts together, and 10 % of a slow band: about 1000 an hour.
_LORA_INTERVAL_PER_DEVICE_S: Final = 0.5
_LORA_RECEIPT_EVERY: Final = 8
_SERIAL_RECEIPT_EVERY: Final = 2
_BLE_INTERVAL_S: Final = 2.0
_BLE_INTERVAL_PER_DEVICE_S: Final = 0.5  # five at a time have a connection


@dataclass(frozen=True)
class BoardPlan:
    """One board."""

    kind: str
    link: str
    interval_s: float
    receipt_every: int


_ALL: Final = (
    BoardPlan("street_light", "lora", _LORA_INTERVAL_S, _LORA_RECEIPT_EVERY),
    BoardPlan("waste_bin", "ble", _BLE_INTERVAL_S, _SERIAL_RECEIPT_EVERY),
    BoardPlan("traffic", "serial", _SERIAL_INTERVAL_S, _SERIAL_RECEIPT_EVERY),
)
_LINK_WORDS: Final = {"lora": "LoRa", "ble": "Bluetooth", "serial": "a serial line"}


@dataclass(frozen=True)
class Plan:
    """What is to be shown. `first_reading_s`: when a reading is overdue."""

    link: str = "serial"
    devices: int = 1
    interval_s: float = _SERIAL_INTERVAL_S
    receipt_every: int = _SERIAL_RECEIPT_EVERY
    first_reading_s: float = 20.0
    kind: str = "street_light"

    @property
    def members(self) -> tuple[BoardPlan, ...]:
        """What each board is to be."""
        if self.link == "all":
            return _ALL
        return (BoardPlan(self.kind, self.link, self.interval_s, self.receipt_every),) * self.devices

    def over(self, link: str) -> int:
        """How many boards use this link."""
        return sum(member.link == link for member in self.members)

    @property
    def mixed(self) -> bool:
        """Whether the boards are of several kinds."""
        return len({member.kind for member in self.members}) > 1

    def boards(self) -> str:
        """How many of which kind, in words."""
        if self.mixed:
            *head, last = (f"a {KINDS[each.kind]} on {_LINK_WORDS[each.link]}" for each in self.members)
            return f"{', '.join(head)} and {last}"
        word = KINDS[self.kind]
        return f"one {word}" if self.devices == 1 else f"{self.devices} {word}s"

    def lines(self) -> list[str]:
        """What a person should know before it begins."""
        on_air = [member for member in self.members if member.link == "lora"]
        if not on_air:
            return []
        first = on_air[0]
        return [
            f"each {KINDS[first.kind].split()[-1]} reports every {first.interval_s:g} s: a device may use 1 % of "
            f"a band's time, and one gateway's receipts must fit as well"
        ]


def make_plan(link: str = LINKS[0], devices: int = 1, kind: str = "street_light") -> Plan:
    """The demo for this link, number and kind of boards. Raises DemoError."""
    if kind not in KINDS:
        raise DemoError("This kind is not known.", value=repr(kind), next_step=f"choose one of: {', '.join(KINDS)}")
    if link not in LINKS:
        raise DemoError("This link is not known.", value=repr(link), next_step=f"choose one of: {', '.join(LINKS)}")
    if not 1 <= devices <= MAX_DEVICES:
        raise DemoError(f"The demo runs 1 to {MAX_DEVICES} boards.", value=devices)
    if link == "lora":
        interval_s = max(_LORA_INTERVAL_S, _LORA_INTERVAL_PER_DEVICE_S * devices)
        return Plan(link, devices, interval_s, _LORA_RECEIPT_EVERY, first_reading_s=60.0, kind=kind)
    if link == "ble":
        interval_s = max(_BLE_INTERVAL_S, _BLE_INTERVAL_PER_DEVICE_S * devices)
        return Plan(link, devices, interval_s, first_reading_s=30.0, kind=kind)
    if link == "all":
        return _one_of_each(devices, kind)
    if devices > 1:
        raise DemoError(
            "On a serial line there is one board.",
            value=f"{devices} boards",
            reason="Each would need a port of its own; over the air a gateway hears them all.",
            next_step=f"lykta demo --link lora --devices {devices}",
        )
    return Plan(kind=kind)


def _one_of_each(devices: int, kind: str) -> Plan:
    if devices not in (1, len(_ALL)) or kind != "street_light":
        raise DemoError(
            f"On all links there is one board each: {Plan('all').boards()}.",
            value=f"{devices} of kind {kind}",
            next_step="leave --devices and --kind out, or choose one --link",
        )
    return Plan("all", len(_ALL), first_reading_s=30.0)
