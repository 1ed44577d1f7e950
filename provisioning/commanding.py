# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Give signed commands to gateways through a broker, and follow them until every device has answered."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from consumer import results
from consumer.certificates import TrustStore
from consumer.commands import MAX_DEVICES, MAX_LIFE_S, Command, new_id, sign
from consumer.errors import ConsumerError
from provisioning.entries import Device, Gateway
from provisioning.errors import ConfigError, OrderError, UnknownDevice
from provisioning.identities import urn
from provisioning.orders import order
from provisioning.register import tables
from provisioning.subscriber import CERTIFICATE, CERTIFICATES, Handlers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from provisioning.registry import Registry

AGAIN_S: Final = 5.0
"""A gateway that has not answered gets the command again: a message has one effect, however often it comes."""
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_GROUPS: Final = {"owner": "owner", "batch": "batch", "asset": "asset", "segment": "segment", "kind": "kind"}


def seconds(text: str) -> int:
    """A duration such as 90s, 15m, 2h or 1d. Raises ConfigError."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise ConfigError("This is not a duration.", value=text[:40], next_step="write 90s, 15m, 2h or 1d")
    return int(match[1]) * _UNITS_S[match[2]]


def devices_of(registry: Registry, target: str) -> list[Device]:
    """The devices that a person means: ids, names or DevEUIs with commas between, or a group such as owner:ORG.

    Raises UnknownDevice, ConfigError.
    """
    group, separator, name = target.partition(":")
    table = tables.devices
    wanted = []
    with registry.reading() as connection:
        if separator and group in _GROUPS:
            query = select(table.c.dev_eui).where(table.c[_GROUPS[group]] == name, table.c.dev_eui.is_not(None))
            wanted = list(connection.execute(query.order_by(table.c.id)).scalars())
        else:
            for each in target.split(","):
                names = (table.c.id == each, table.c.name == each, table.c.dev_eui == each.lower())
                found = connection.execute(select(table.c.dev_eui).where(names[0] | names[1] | names[2])).scalars()
                euis = [eui for eui in found if eui is not None]
                if not euis:
                    raise _nobody(each)
                wanted += euis
    devices = [device for eui in dict.fromkeys(wanted) if (device := registry.device(bytes.fromhex(eui))) is not None]
    devices = [device for device in devices if device.state == "registered"]
    if not devices:
        raise _nobody(target)
    if len(devices) > MAX_DEVICES:
        raise ConfigError(
            "These are more devices than one command names.",
            value=f"{len(devices)}, at most {MAX_DEVICES}",
            next_step="name smaller groups: batch:NAME, segment:NAME, asset:NAME",
        )
    return devices


def _nobody(target: str) -> UnknownDevice:
    return UnknownDevice(
        "No device of the register that may talk is meant by this.",
        value=target[:80],
        next_step="lykta devices lists them; owner:ORG, batch:NAME, segment:NAME, asset:NAME or kind:KIND is a group",
    )


def gateways_of(registry: Registry, names: Sequence[str]) -> list[Gateway]:
    """The gateways with these names or EUIs; all that are enrolled where none is named. Raises UnknownDevice."""
    known = [gateway for gateway in registry.gateways() if gateway.state == "registered"]
    chosen = [gateway for gateway in known if not names or {gateway.name, gateway.eui.hex()} & set(names)]
    if len(chosen) < len(names) or not chosen:
        raise UnknownDevice(
            "No gateway of this name is enrolled.", value=", ".join(names) or "none", next_step="lykta gateway list"
        )
    return chosen


def check(devices: Sequence[Device], verb: str, arguments: dict[str, Any] | list[str]) -> None:
    """Refuse here what a gateway would refuse of every device. Raises OrderError."""
    errors = []
    for kind in {device.kind for device in devices}:
        try:
            order(kind, verb, arguments)
        except OrderError as error:
            errors.append(error)
    if len(errors) == len({device.kind for device in devices}):
        raise errors[0]


@dataclass(frozen=True)
class Given:
    """A command as it is given: one signed message for each gateway, all with the same id."""

    commander: str
    command_id: bytes
    devices: tuple[bytes, ...]
    exp_s: int
    messages: dict[str, bytes]
    """By EUI of the gateway, in hexadecimal digits."""


def give(
    commander: str,
    key: Ed25519PrivateKey,
    gateways: Sequence[Gateway],
    devices: Sequence[Device],
    what: tuple[str, dict[str, Any] | list[str]],
    *,
    life_s: int,
    dry_run: bool = False,
) -> Given:
    """Sign a command. *what*: verb and arguments. Raises ConfigError."""
    if not 0 < life_s <= MAX_LIFE_S:
        raise ConfigError("A command is valid for 1 second to 7 days.", value=f"{life_s} s", next_step="--expires 1h")
    now_s, command_id = int(time.time()), new_id()
    euis = tuple(device.dev_eui for device in devices)
    messages = {}
    for gateway in gateways:
        command = Command(commander, urn(gateway.eui), euis, *what, now_s, now_s + life_s, command_id, dry_run=dry_run)
        messages[gateway.eui.hex()] = sign(command, key)
    return Given(commander, command_id, euis, now_s + life_s, messages)


@dataclass
class Following:
    """What is known of a command that was given. *on_result* gets each new result, *on_problem* a text."""

    given: Given
    trust: TrustStore
    on_result: Callable[[results.Result], None]
    on_problem: Callable[[str], None]
    devices: dict[bytes, results.Result] = field(default_factory=dict)
    """The last word about each device."""
    answered: dict[str, results.Result] = field(default_factory=dict)
    """What each gateway said of the command as a whole, by EUI."""
    _sent_s: float = float("-inf")

    def handlers(self) -> Handlers:
        """How a subscriber feeds this."""
        topic = f"results/{self.given.commander}/{self.given.command_id.hex()}"
        return Handlers(
            message=self.message,
            certificate=self.certificate,
            status=self.on_problem,
            outgoing=self.outgoing,
            outgoing_expiry_s=max(60, self.given.exp_s - int(time.time())),
            topics=(CERTIFICATES, CERTIFICATE),
            wanted=topic,
        )

    def certificate(self, pem: bytes) -> None:
        """Take the certificate of a gateway."""
        if pem:
            try:
                self.trust.add(pem)
            except ConsumerError as error:
                self.on_problem(f"{type(error).__name__}: {error}")

    def outgoing(self) -> list[tuple[str, bytes]]:
        """The messages for gateways that have not answered yet, now and then."""
        now_s = time.monotonic()
        if now_s - self._sent_s < AGAIN_S or self.over:
            return []
        self._sent_s = now_s
        path = f"commands/{self.given.commander}/{self.given.command_id.hex()}"
        missing = [(eui, message) for eui, message in self.given.messages.items() if eui not in self.answered]
        return [(f"{eui}/{path}", message) for eui, message in missing]

    def message(self, data: bytes) -> None:
        """Take a result."""
        try:
            result = results.read(data, self.trust)
        except ConsumerError as error:
            self.on_problem(f"{type(error).__name__}: {error}")
            return
        eui = result.gateway.rpartition(":")[2]
        sent = self.given.messages.get(eui)
        if sent is None or result.command_id != self.given.command_id:
            return
        if result.device is None:
            if result.message != hashlib.sha256(sent).digest():
                return  # an answer to somebody else's message under this id
            first = self.answered.get(eui)
            if first is not None:  # one of several workers, about its own devices
                left_out = {**first.left_out, **result.left_out}
                if result.state != first.state or len(left_out) == len(first.left_out):
                    return
                result = replace(first, left_out=left_out)
            self.answered[eui] = result
        elif result.device in self.devices or result.device not in self.given.devices:
            return
        else:
            self.devices[result.device] = result
        self.on_result(result)

    @property
    def over(self) -> bool:
        """Whether nothing more can come."""
        if not self.taken:
            return self.done_everywhere
        waits: set[bytes] = set()
        for result in self.answered.values():
            if result.state == "queued":
                waits |= {dev_eui for dev_eui in self.given.devices if dev_eui.hex() not in result.left_out}
        return waits <= set(self.devices)

    @property
    def taken(self) -> bool:
        """Whether every gateway has said what it makes of it."""
        return len(self.answered) == len(self.given.messages)

    @property
    def done_everywhere(self) -> bool:
        """Whether every device has done it."""
        return all(eui in self.devices and self.devices[eui].state == "done" for eui in self.given.devices)

    @property
    def allowed_everywhere(self) -> bool:
        """Whether, of a dry run, every device would get it from some gateway."""
        refused = [
            {dev_eui for dev_eui in self.given.devices if dev_eui.hex() in result.left_out}
            for result in self.answered.values()
            if result.state == "allowed"
        ]
        return bool(refused) and not set.intersection(*refused)
