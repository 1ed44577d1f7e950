# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The bench's jobs at a board that hangs already: what it takes to enrol one that was installed, and signed updates.

A blank board has no Bluetooth of ours: firmware and key come to it by cable. From then on the board proves itself, is
tested, recorded and labelled, and gets releases, over the authenticated console.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from firmware.wire import console
from firmware.wire.errors import WireError
from firmware.wire.readings import FPORT_UPDATE
from provisioning.bench import enrolment, label
from provisioning.bench.enrolment import Bench, Step
from provisioning.bench.errors import ProofFailed
from provisioning.bluetooth.console import Talk
from provisioning.entries import Device
from provisioning.errors import BluetoothError

ANSWER_S: Final = 20.0
"""A manifest's signature is checked meanwhile: some seconds of a small processor."""
_ATTEMPTS: Final = 6


@dataclass(frozen=True)
class Proved:
    """A board that has shown that it is its device, and what of it works."""

    device: Device
    self_test: dict[str, str]
    label: label.Label
    seconds: float


async def enroll(talk: Talk, bench: Bench, device: Device, without: frozenset[str], step: Step) -> Proved:
    """Test, record and label the board at the other end of *talk*, which has begun: so it holds the device's key.

    Raises ProofFailed when a part is broken that is not among those that this place is without; nothing is recorded.
    """
    begun_s = time.monotonic()
    tag = enrolment.label_of(bench.city, device)
    _ = tag.code
    step("prove", device.dev_eui.hex())
    now = await talk.now()
    found = await talk.command("self_test", {})
    broken = sorted(name for name, verdict in found.items() if verdict == "broken" and name not in without)
    if broken:
        raise ProofFailed(
            "The board's self-test finds broken parts.",
            value=", ".join(broken),
            reason="What does not work when it is enrolled does not work on the pole.",
            next_step="mend it; for parts that this place does not have: --without NAME",
        )
    step("record", "")
    facts = {
        "over": "bluetooth",
        "self_test": found,
        "contact_s": now["contact_s"],
        "uptime_s": now["uptime_s"],
        "waiting": now["waiting"],
    }
    enrolment.keep_record(bench, device, facts)
    step("label", "")
    enrolment.save_label(bench, tag, step)
    return Proved(device, found, tag, time.monotonic() - begun_s)


class Sending(Protocol):
    """A release on its way (`provisioning.updates.sender.Sender`)."""

    state: str
    problem: str
    have: int

    @property
    def total(self) -> int:
        """Bytes of the bundle."""

    def next(self, payload: bytes, room: int) -> list[bytes]:
        """What the board gets after it has said this; none when nothing more is to be said."""


async def send(talk: Talk, sending: Sending, ask: bytes, report: Callable[[int, int], None]) -> str:
    """Carry a release to the board until it has all of it and starts anew; return the state that it ended in.

    Called again after a lost connection, with a new *talk*, it goes on where the board says that it is. Raises
    BluetoothError when the board falls silent.
    """
    messages, silent = [ask], 0
    while messages:
        said = await talk.exchange(FPORT_UPDATE, messages, ANSWER_S)
        if said is None:  # something was lost: ask how far it is
            silent += 1
            if silent >= _ATTEMPTS:
                raise BluetoothError(
                    "The board does not say how far the update is.",
                    reason="Its firmware may be older than updates over Bluetooth, or it is out of reach.",
                    next_step="go nearer and give the same command again: it goes on where it stopped",
                )
            messages = [ask]
            continue
        silent = 0
        try:
            messages = sending.next(said, console.MAX_PAYLOAD)
        except WireError as error:
            raise BluetoothError("The board's answer about the update is malformed.", value=str(error)) from error
        report(sending.have, sending.total)
        await asyncio.sleep(0)
    return sending.state
