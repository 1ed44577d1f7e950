# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What an open register answers, the tool's (`provisioning.registry`) as that of a gateway (`provisioning.reader`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioning.entries import DEVICE_COLUMNS, Device, device_of
from provisioning.errors import UnknownDevice
from provisioning.keys import PURPOSE_APP_KEY, KeyBox
from provisioning.model.commanders import Commander
from provisioning.register import asking
from provisioning.register.stock import DatabaseStock, object_of
from provisioning.register.version import FileVersion

if TYPE_CHECKING:
    from provisioning.register.asking import Asked

_BY_DEV_EUI: Final = f"SELECT {DEVICE_COLUMNS} FROM devices WHERE dev_eui = :dev_eui"  # noqa: S608 - a constant
_DEVICES: Final = f"SELECT {DEVICE_COLUMNS} FROM devices WHERE dev_eui IS NOT NULL ORDER BY created_at_s, dev_eui"  # noqa: S608
_KEY: Final = "SELECT sealed FROM credentials WHERE dev_eui = :dev_eui AND purpose = :purpose"


class Answers:
    """An open register, for who asks. Thread-safe; raises RegisterError for whatever its database says."""

    def __init__(self, keys: KeyBox, file: Path | None) -> None:
        self._box = keys
        self._version = None if file is None else FileVersion(file)

    def _transaction(self, *, writes: bool = False) -> AbstractContextManager[Asked]:
        """One transaction."""
        raise NotImplementedError

    def _close_version(self) -> None:
        if self._version is not None:
            self._version.close()

    def version(self) -> object | None:
        """What stays equal as long as nothing in the register changes; None where that takes reading it."""
        return None if self._version is None else self._version.token()

    def device(self, dev_eui: bytes) -> Device | None:
        """The device with this DevEUI, None where the register holds none."""
        with self._transaction() as connection:
            row = asking.one(connection, _BY_DEV_EUI, dev_eui=dev_eui.hex())
        return None if row is None else device_of(row)

    def devices(self) -> list[Device]:
        """All devices that speak LoRaWAN frames, oldest first."""
        with self._transaction() as connection:
            return [device_of(row) for row in asking.each(connection, _DEVICES)]

    def app_key(self, dev_eui: bytes) -> bytes:
        """The 16-byte AppKey of a device. Raises UnknownDevice, or TamperedSecret where it does not open."""
        with self._transaction() as connection:
            row = asking.one(connection, _KEY, dev_eui=dev_eui.hex(), purpose=PURPOSE_APP_KEY)
        if row is None or row["sealed"] is None:
            raise UnknownDevice(
                "No device with this DevEUI has a key in the register.",
                value=dev_eui.hex(),
                reason="It was never registered, or its keys were revoked when it was retired.",
                next_step="lykta devices lists the registered ones; lykta register adds one",
            )
        return self._box.open(PURPOSE_APP_KEY, dev_eui, bytes(row["sealed"]))

    def commander(self, commander_id: str) -> Commander | None:
        """Who may command devices under this id, None where the register holds nobody."""
        with self._transaction() as connection:
            return object_of(connection, Commander, commander_id)

    @contextmanager
    def stock(self) -> Iterator[DatabaseStock]:
        """The stock as the rules see it (provisioning.model.stock.Stock), while the block lasts."""
        with self._transaction() as connection:
            yield DatabaseStock(connection, datetime.now(UTC))

    @contextmanager
    def noting(self) -> Iterator[Asked]:
        """A transaction that writes what gateways may write, the boards of roll-outs: nothing of it is logged."""
        with self._transaction(writes=True) as connection:
            yield connection
