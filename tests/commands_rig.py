# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway's office for commands on real files, with a clock that tests set and devices that they speak for."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consumer import results
from consumer.certificates import TrustStore
from consumer.commands import Command, new_id, sign
from firmware.wire import cbor, requests
from gateway import identity
from gateway.commands.judge import Judge
from gateway.commands.office import CommandOffice
from gateway.commands.results import ResultSigner
from gateway.network.downlinks import Item
from gateway.network.register import KnownDevices
from gateway.operate.counters import Counters
from provisioning.model.commanders import Commander
from provisioning.model.organisations import Organisation
from provisioning.register import papers
from provisioning.registry import Registry
from tests.gateway_rig import GATEWAY_EUI, City, Device
from tests.test_gateway_network_mac import Radio

URN = f"urn:dev:mac:{GATEWAY_EUI.hex()}"


def add_commander(registry: Registry, name: str = "room", **values: Any) -> Ed25519PrivateKey:
    """Put a commander into a register; return its key."""
    key = Ed25519PrivateKey.generate()
    stated: dict[str, Any] = {
        "id": name,
        "name": name,
        "org": "trafik",
        "public_key": key.public_key().public_bytes_raw().hex(),
        "all_owners": True,
        "verbs": ("*",),
        "valid_from": date(2026, 1, 1),
        "valid_to": date(2036, 1, 1),
    } | values
    with registry.change() as change:
        papers.put(change, Organisation(id="trafik", name="Trafik", kind="namnd"), replace=True)
        papers.put(change, Commander(**stated), replace=True)
    return key


class Office:
    """*radio* has the sessions. ``take`` hands in a message; ``said`` is what came back since."""

    def __init__(self, folder: Path, radio: Radio | None = None) -> None:
        self.radio = radio or Radio(City(folder / "city"))
        self.counters = Counters()
        self.key = add_commander(self.radio.city.registry)
        self.trust = TrustStore([self.radio.city.ca])
        self.trust.add(self.radio.city.certificate_pem)
        folder = self.radio.city.folder
        key, pem = (folder / "gateway.key.pem").read_bytes(), self.radio.city.certificate_pem
        self.identity = identity.load(GATEWAY_EUI.hex(), key, pem)
        self.seen = 0
        self.open()

    def open(self) -> None:
        """Begin, or begin again with what is on disk."""
        radio = self.radio
        devices = KnownDevices(radio.registry, radio.clock)
        judge = Judge(
            URN,
            radio.registry.commander,
            devices.active,
            lambda device: radio.store.address_of(device.dev_eui) is not None,
        )
        signer = ResultSigner(lambda: self.identity, radio.clock)
        self.office = CommandOffice(radio.server, radio.store, judge, signer, radio.clock, self.counters)
        radio.store.commit()

    def restart(self) -> None:
        """Lose the process: what was not committed is gone."""
        self.radio.restart()
        self.radio.server.restore_queue(self.radio.clock)
        self.open()

    def close(self) -> None:
        """Close what is open."""
        self.radio.close()
        self.radio.city.registry.close()

    def device(self, number: int = 1) -> Device:
        """A device that is heard here."""
        made = self.radio.city.device(number)
        self.radio.join(made)
        self.radio.up(made)
        return made

    def command(self, *devices: bytes, verb: str = "dim", arguments: Any = None, **values: Any) -> Command:
        """A command that is good in every respect that *values* does not change."""
        now_s = int(self.radio.clock.wall_s())
        stated: dict[str, Any] = {
            "commander": "room",
            "gateway": URN,
            "devices": devices,
            "verb": verb,
            "arguments": {"percent": 40} if arguments is None else arguments,
            "iat_s": now_s,
            "exp_s": now_s + 600,
            "command_id": new_id(),
        } | values
        return Command(**stated)

    def take(self, command: Command | bytes, key: Ed25519PrivateKey | None = None, topic: Any = None) -> None:
        """Hand a command in, signed, or a message as it is."""
        message = command if isinstance(command, bytes) else sign(command, key or self.key)
        where = topic or (("room", command.command_id) if isinstance(command, Command) else ("room", bytes(16)))
        self.office.take("city", where, message)

    def said(self) -> list[results.Result]:
        """Results since the last call, each checked as a consumer would."""
        answers = self.office.answers("city", self.seen, 100_000)
        self.seen = max([self.seen, *(answer.row for answer in answers)])
        return [results.read(answer.message, self.trust) for answer in answers]

    def sent(self, device: Device) -> Item | None:
        """What goes to a device now, if anything does; it gets it."""
        now_s = self.radio.clock.monotonic_s()
        item = self.radio.server.queue.take(device.dev_eui, 222, now_s)
        if item is not None:
            self.radio.server.queue.settle(item, now_s, sent=True)
            self.radio.server.queue.heard(device.dev_eui, now_s, ack=True)
            self.radio.server.commit()
            self.office.fates(self.radio.server.fates())
        return item

    def answer(self, device: Device, fport: int, payload: bytes) -> None:
        """The device answers."""
        self.office.heard(device.dev_eui, "street_light", fport, payload)
        self.radio.server.commit()

    def done(self, device: Device, item: Item, status: int = requests.DONE) -> None:
        """The device answers a command."""
        number = requests.decode(item.payload)[requests.ID]
        self.answer(device, item.fport, cbor.dumps({requests.ID: number, requests.STATUS_KEY: status}))
