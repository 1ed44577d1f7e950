# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which commands a gateway took and what became of them, for people. Reads only, whether the daemon runs or not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.commands.outcome import Outcomes
from gateway.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_COMMANDS = "SELECT commander, id, verb, platform, taken_at, expires_at FROM command ORDER BY taken_at DESC, id"
_DEVICES = """
SELECT dev_eui, state, tries, asked_at, said FROM command_device WHERE commander = ? AND id = ? ORDER BY dev_eui
"""


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """What became of a command for one device."""

    dev_eui: str
    state: str
    """waiting: not sent yet; asked: the device has it; else what the result says (consumer.results)."""
    asked_again: int
    asked_at: float | None
    """Unix time at which the device had it last."""
    said: Mapping[str, Any]
    """What it answered so far."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One command."""

    commander: str
    id: str
    """32 hex digits."""
    verb: str
    platform: str
    """Where it came from."""
    taken_at: float
    expires_at: float
    devices: tuple[ListedDevice, ...]

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return not any(device.state in ("waiting", "asked") for device in self.devices)


def read_all(paths: Sequence[Path]) -> list[Listed]:
    """Return the commands of several workers, newest first: each once, with the devices of all who took some of it.

    One that has not run yet has none. Raises StoreUnavailable when that is so of all, or when one cannot be read.
    """
    there = [path for path in paths if path.is_file()] or list(paths)[:1]
    found: dict[tuple[str, str], Listed] = {}
    for each in (each for path in there for each in read(path)):
        known = found.setdefault((each.commander, each.id), each)
        if known is not each:
            devices = {device.dev_eui: device for device in (*known.devices, *each.devices)}
            begun = min(known.taken_at, each.taken_at)
            every = tuple(devices[dev_eui] for dev_eui in sorted(devices))
            found[each.commander, each.id] = replace(known, taken_at=begun, devices=every)
    return sorted(found.values(), key=lambda each: (-each.taken_at, each.id))


def read(path: Path) -> list[Listed]:
    """Return the commands in the session file at *path*, newest first. Raises StoreUnavailable."""
    if not path.is_file():
        raise StoreUnavailable(f"there are no commands at {path}; the gateway has not run yet")
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=2)) as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")  # one moment for all that is read
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'command'").fetchone():
                return []
            return [
                Listed(
                    *(commander, bytes(command_id).hex(), verb, platform, taken_at, expires_at),
                    tuple(_device(verb, row) for row in connection.execute(_DEVICES, (commander, command_id))),
                )
                for commander, command_id, verb, platform, taken_at, expires_at in connection.execute(_COMMANDS)
            ]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error


def _device(verb: str, row: tuple[bytes, str, int, float | None, str]) -> ListedDevice:
    dev_eui, state, tries, asked_at, said = row
    if state == "queued":
        state = "waiting" if asked_at is None else "asked"
    return ListedDevice(bytes(dev_eui).hex(), state, tries - Outcomes.tries_of(verb), asked_at, json.loads(said))
