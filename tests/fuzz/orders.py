# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where commands enter the gateway: what a broker hands in, forged or signed by somebody who may give orders."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import cbor2

from consumer import cose
from consumer.commands import AUD, CTI, EXP, IAT, ISS, TYPE
from tests.commands_rig import URN, Office

if TYPE_CHECKING:
    from tests.gateway_rig import Device

_NEW_AFTER = 10_000
"""Inputs: by then the office remembers as many commands as it may, and everything would be refused as `busy`."""
_TOPIC = ("room", bytes(16))
_NOW_S = 1_790_000_000


class CommandTarget:
    """A commands' office with one device, again and again from the beginning."""

    def __init__(self, folder: Path) -> None:
        self._folders = (folder / f"office-{number}" for number in itertools.count())
        self._given = 0
        self._open()

    def _open(self) -> None:
        self._folder = next(self._folders)
        self._folder.mkdir()
        self.office = Office(self._folder)
        self.device: Device = self.office.device()

    def close(self) -> None:
        self.office.close()
        shutil.rmtree(self._folder)

    def __call__(self, data: bytes) -> None:
        """A message as it is, or, after a first byte that is odd, what a commander signs: header and content."""
        if not data:
            return
        self._given += 1
        if self._given % _NEW_AFTER == 0:
            self.close()
            self._open()
        message = self._signed(data[1:]) if data[0] & 1 else data[1:]
        self.office.take(message, topic=_TOPIC)
        self.office.radio.clock.sleep(0.05)
        if self._given % 16 == 0:
            office = self.office.office
            office.look()
            office.drop_answers([answer.row for answer in office.answers("city", 0, 100)])

    def _signed(self, data: bytes) -> bytes:
        length = int.from_bytes(data[:2], "big")
        protected, payload = data[2 : 2 + length], data[2 + length :]
        signature = self.office.key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))


def seeds(dev_eui: bytes) -> list[bytes]:
    """Sound commands of several kinds, to be signed, and a message that nobody signed."""
    found = []
    for number, content in enumerate(
        (
            {1: [dev_eui], 2: "dim", 3: {"percent": 40, "minutes": 120, "group": 3}},
            {1: [dev_eui], 2: "settings.set", 3: {"report_every_min": 15}},
            {1: [dev_eui], 2: "settings.get", 3: ["report_every_min"]},
            {1: [bytes(8), dev_eui], 2: "dim", 3: {"percent": 0}, 4: True},
        )
    ):
        claims = {ISS: "room", AUD: URN, EXP: _NOW_S + 600, IAT: _NOW_S, CTI: bytes([number]) * 16}
        header = cbor2.dumps({cose.ALG: cose.ED25519, cose.CWT_CLAIMS: claims, cose.TYP: TYPE}, canonical=True)
        payload = cbor2.dumps(content, canonical=True)
        found.append(b"\x01" + len(header).to_bytes(2, "big") + header + payload)
        found.append(b"\x00" + cbor2.dumps(cbor2.CBORTag(18, [header, {}, payload, bytes(64)])))
    return found
