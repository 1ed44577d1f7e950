# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the register holds already of the devices of a batch, asked for all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import insert, select, update

from provisioning.errors import DuplicateEntry, RegisterError
from provisioning.model.device import DeviceRecord, Kind
from provisioning.register import tables
from provisioning.register.log import Change
from provisioning.register.records import PREFIXES

_AT_ONCE: Final = 400
_MAX_NUMBER: Final = 999_999


class _Held(NamedTuple):
    device_id: str
    input_sha256: bytes | None


def claims(record: DeviceRecord) -> Iterator[tuple[str, str]]:
    """What a record claims for itself alone."""
    for what, value in (("DevEUI", record.dev_eui), ("id", record.id), ("name", record.name)):
        if value is not None:
            yield what, value


class Known:
    """Devices that have one of the identities of a batch, and identities that records of the batch have claimed."""

    def __init__(self, change: Change, inputs: Sequence[DeviceRecord]) -> None:
        self._held: dict[tuple[str, str], _Held] = {}
        self._claimed: set[tuple[str, str]] = set()
        table = tables.devices
        for what, column in (("DevEUI", table.c.dev_eui), ("id", table.c.id), ("name", table.c.name)):
            values = [value for record in inputs for each, value in claims(record) if each == what]
            for start in range(0, len(values), _AT_ONCE):
                query = select(column, table.c.id, table.c.input_sha256).where(
                    column.in_(values[start : start + _AT_ONCE])
                )
                for value, device_id, digest in change.connection.execute(query):
                    self._held[what, value] = _Held(device_id, None if digest is None else bytes(digest))

    def same_input(self, record: DeviceRecord, digest: bytes) -> str | None:
        """The id of the device that was registered from exactly this record; None where there is none."""
        for claim in claims(record):
            held = self._held.get(claim)
            if held is not None:
                return held.device_id if held.input_sha256 == digest else None
        return None

    def claim(self, record: DeviceRecord) -> None:
        """Keep the identities of a record for it. Raises DuplicateEntry when they are taken."""
        wanted = list(claims(record))
        for what, value in wanted:
            held = self._held.get((what, value))
            if held is not None:
                raise DuplicateEntry(
                    f"A device with this {what} is already registered.",
                    value=value if held.device_id == value else f"{value} ({held.device_id})",
                    reason="Readings of two devices under one identity could not be told apart.",
                    next_step=f"lykta show {held.device_id} shows it",
                )
            self.once(what, value, f"Two records of this batch have the same {what}.")
        self._claimed.update(wanted)

    def once(self, what: str, value: str, problem: str) -> None:
        """Raise DuplicateEntry when another record of the batch has claimed this; `keep` claims it."""
        if (what, value) in self._claimed:
            raise DuplicateEntry(
                problem,
                value=value,
                reason="Two devices under one identity could not be told apart.",
                next_step="correct one of them",
            )

    def keep(self, what: str, value: str) -> None:
        """Claim something."""
        self._claimed.add((what, value))


class Ids:
    """Gives out ids. The counter of a kind is never behind the ids that are there."""

    def __init__(self, change: Change, inputs: Sequence[DeviceRecord]) -> None:
        self._change = change
        self._last: dict[str, int] = {}
        self._stored: dict[str, int | None] = {}
        self._reserved = {record.id for record in inputs if record.id is not None}

    def next(self, kind: Kind) -> str:
        """The next free id of a kind. Raises RegisterError when all are given out."""
        prefix = PREFIXES[kind]
        number = self._counter(prefix) + 1
        while f"{prefix}-{number:04}" in self._reserved:
            number += 1
        if number > _MAX_NUMBER:
            raise RegisterError("All numbers of this kind of device are given out.", value=prefix)
        self._last[prefix] = number
        return f"{prefix}-{number:04}"

    def saw(self, device_id: str) -> None:
        """Take note of an id that came with a record."""
        prefix, _, digits = device_id.partition("-")
        self._last[prefix] = max(self._counter(prefix), int(digits))

    def _counter(self, prefix: str) -> int:
        if prefix not in self._last:
            query = select(tables.counters.c.last).where(tables.counters.c.prefix == prefix)
            self._stored[prefix] = self._change.connection.execute(query).scalar_one_or_none()
            self._last[prefix] = self._stored[prefix] or 0
        return self._last[prefix]

    def store(self) -> None:
        """Write the counters."""
        table = tables.counters
        for prefix, last in self._last.items():
            if self._stored[prefix] is None:
                self._change.connection.execute(insert(table).values(prefix=prefix, last=last))
            elif last != self._stored[prefix]:
                self._change.connection.execute(update(table).where(table.c.prefix == prefix).values(last=last))
