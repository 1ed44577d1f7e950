# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a lab's TOML file may say: its boards, the hands that switch their power, a gateway, a Bluetooth adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boards import schema
from provisioning import strict_toml
from provisioning.errors import ConfigError

Eui = Annotated[str, Field(pattern="^[0-9a-fA-F]{16}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
PERSON = "person"
Command = Annotated[str, Field(min_length=1, max_length=500)]
"""A command line without a shell, or "person": whoever stands at the bench is asked."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Switch(_Table):
    """Two commands, and how long the world takes to follow."""

    on: Command
    off: Command
    settle_s: float = Field(default=0.5, ge=0, le=60)
    """Capacitors keep a board alive for a moment."""


class Foreign(_Table):
    """A device that is what it is: another maker's, or one whose identity is not to be touched."""

    dev_eui: Eui
    join_eui: Eui
    app_key: str
    """file:PATH or env:NAME; 16 bytes, or 32 hexadecimal digits."""
    device_class: Literal["A", "C"] = "A"
    certification: bool = False
    """The test port 224 is open."""
    forget: Command = PERSON
    """What makes it forget its session."""
    state: Path = Path("join-nonce")
    """A file that remembers the last JoinNonce."""


class BoardTable(_Table):
    """One board of the lab."""

    name: Name
    board: str | None = None
    """Which of boards/*.toml; None for a foreign device."""
    kind: str = "street_light"
    serial: str | None = None
    """Its port; a name under /dev/serial/by-id stays when boards are plugged in another order."""
    may_be_erased: bool = False
    """The tests may put their own firmware and identity on it."""
    without: list[str] = Field(default_factory=list)
    """Parts of its self-test that this bench does not have: "meter", "lamp"."""
    power: Switch | None = None
    cable: Switch | None = None
    """What pulls its USB cable: `off` takes it out."""
    references: dict[str, float | Command] = Field(default_factory=dict)
    """What an instrument beside the sensor reads, by the field's name: a number, or a command that prints one."""
    device: Foreign | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.board is None) == (self.device is None):
            raise ValueError("a board needs either board (ours, to be enrolled) or a table device (foreign, as it is)")
        if self.board is not None and self.board not in schema.names():
            raise ValueError(f"board {self.board!r} is none of boards/*.toml: {', '.join(schema.names())}")
        if self.board is not None and self.serial is None:
            raise ValueError("serial is missing: a board of ours is enrolled over its serial port")
        return self


class GatewayTable(_Table):
    """A reference LoRa gateway: any packet forwarder of Semtech's UDP protocol that sends to this computer."""

    bind: Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$")]
    """Where it sends to: an address of this computer."""
    address: str | None = None
    """Where it is; what comes from elsewhere is not heard. None: whoever speaks first."""


class BluetoothTable(_Table):
    """A Bluetooth adapter."""

    adapter: Annotated[str, Field(pattern=r"^hci\d+$")]


class LabTable(_Table):
    """The lab itself."""

    name: str = Field(min_length=1, max_length=80)


class LabFile(_Table):
    """All of it."""

    lab: LabTable
    boards: list[BoardTable] = Field(min_length=1)
    gateway: GatewayTable | None = None
    bluetooth: BluetoothTable | None = None

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for what, values in (
            ("name", [board.name for board in self.boards]),
            ("serial port", [board.serial for board in self.boards if board.serial]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"two boards have the same {what}")
        return self


def load(path: Path) -> LabFile:
    """Read a lab's file. Raises ConfigError that lists every problem with its key."""
    found = strict_toml.load(path, LabFile)
    if found.gateway is None and any(board.device is not None for board in found.boards):
        raise ConfigError(
            f"{path}: gateway: a foreign device is reached by LoRa alone.",
            next_step='add [gateway] with bind = "0.0.0.0:1700", where its packet forwarder sends to',
        )
    return found
