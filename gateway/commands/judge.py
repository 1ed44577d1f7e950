# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Whether a command counts: who signed it, for whom, until when, and what each device may be told. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from consumer.commands import MAX_BYTES, MAX_LIFE_S, Command, Received
from consumer.errors import ConsumerError
from gateway.clock import plausible
from gateway.errors import CommandRefused, RetiredDevice, UnknownDevice
from provisioning.errors import OrderError
from provisioning.orders import Order, order

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.network.register import Device

_EARLY_S = 300
"""A commander's clock may be ahead of ours by as much."""


class Commander(Protocol):
    """What is asked of an entry of the register."""

    @property
    def public_key(self) -> str:
        """Ed25519, 64 hex digits."""

    def may_sign(self, moment: datetime) -> bool:
        """Tell whether its key counts at a time."""

    def may_order(self, verb: str, owner: str | None) -> bool:
        """Tell whether it may order this from a device of this owner."""


class Judge:
    """*commander* finds an entry of the register, *device* an active device, *here* tells whether it has a session."""

    def __init__(
        self,
        urn: str,
        commander: Callable[[str], Commander | None],
        device: Callable[[bytes], Device],
        here: Callable[[Device], bool],
    ) -> None:
        self._urn = urn
        self._commander = commander
        self._device = device
        self._here = here

    def authentic(self, message: bytes, wall_s: float) -> tuple[Command, Commander]:
        """Return what a message orders and who signed it. Raises CommandRefused."""
        if len(message) > MAX_BYTES:
            raise CommandRefused("too_large", f"a command has at most {MAX_BYTES} bytes")
        try:
            received = Received(message)
        except ConsumerError as error:
            raise CommandRefused("malformed", str(error)) from error
        command = received.command
        commander = self._commander(command.commander)
        if commander is None:
            raise CommandRefused("unknown_signer", f"the register lists nobody as {command.commander}")
        try:
            received.check(bytes.fromhex(commander.public_key))
        except ConsumerError as error:
            raise CommandRefused("not_authentic", str(error)) from error
        if not commander.may_sign(datetime.fromtimestamp(wall_s, UTC)):
            raise CommandRefused("key_not_valid", f"the key of {command.commander} was revoked or is not valid today")
        if command.gateway != self._urn:
            raise CommandRefused("wrong_audience", f"it is for {command.gateway}, not for {self._urn}")
        return command, commander

    @staticmethod
    def in_time(command: Command, wall_s: float) -> None:
        """Check the times of a command that was not seen before. Raises CommandRefused."""
        if not plausible(wall_s):
            raise CommandRefused("clock_not_set", "this gateway does not know the time")
        if command.exp_s <= wall_s:
            raise CommandRefused("expired", f"it ended {wall_s - command.exp_s:.0f} s ago")
        if command.iat_s > wall_s + _EARLY_S:
            raise CommandRefused("not_yet", f"it was given {command.iat_s - wall_s:.0f} s from now")
        if not 0 < command.exp_s - command.iat_s <= MAX_LIFE_S:
            raise CommandRefused("lasts_too_long", f"a command is valid for at most {MAX_LIFE_S} s")

    def allowed(self, command: Command, commander: Commander, dev_eui: bytes) -> tuple[Device, Order]:
        """Return what to tell one device. Raises CommandRefused."""
        try:
            device = self._device(dev_eui)
        except UnknownDevice as error:
            raise CommandRefused("unknown_device", str(error)) from error
        except RetiredDevice as error:
            raise CommandRefused("retired_device", str(error)) from error
        owner = getattr(device, "owner", None)
        if not commander.may_order(command.verb, owner):
            owned = f"a device of {owner}" if owner else "a device without an owner"
            raise CommandRefused("not_allowed", f"{command.commander} may not order {command.verb} from {owned}")
        if not self._here(device):
            raise CommandRefused("not_here", "this gateway has no session with it, or it is of another make")
        try:
            return device, order(device.kind, command.verb, command.arguments)
        except OrderError as error:
            raise CommandRefused("impossible", str(error)) from error
