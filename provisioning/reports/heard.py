# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What came of each device in a period: from the store of `lykta receive`, or from a file that was made of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from consumer.errors import ConsumerError
from firmware.wire.kinds.terms import terms
from provisioning.errors import ConfigError, ReceiverError
from provisioning.identities import parse_eui

if TYPE_CHECKING:
    from consumer.ledger import Ledger
    from provisioning.model.device import DeviceRecord

COLUMNS: Final = ("dev_eui", "expected", "received", "first_heard", "last_heard", "energy_wh", "dimmed_h")
"""Of the file. The first three are enough; times are ISO 8601."""
_LAMP: Final = {name: terms("street_light")[name].senml_name for name in ("lamp_on", "dim_pct", "energy_wh")}
_EACH: Final = (
    "SELECT dev_eui, MAX(seq) - MIN(seq) + 1, COUNT(*), MIN(time), "
    "(SELECT MAX(later.time) FROM reading AS later WHERE later.dev_eui = reading.dev_eui) "
    "FROM reading WHERE time >= ? AND time < ? GROUP BY dev_eui ORDER BY dev_eui"
)
_LIT: Final = (
    "SELECT time, measured FROM reading WHERE dev_eui = ? AND time >= ? AND time < ? "
    "AND (measured LIKE ? OR measured LIKE ?) ORDER BY time, seq"
)


class Delivery(NamedTuple):
    """What came of a device in the period. Times are Unix seconds."""

    expected: int
    """As many readings as its own numbers say it made."""
    received: int
    first_s: float | None = None
    last_s: float | None = None
    """Also after the period: it is about today's silence."""
    energy_wh: float | None = None
    dimmed_h: float | None = None


@dataclass(frozen=True)
class Heard:
    """Everybody who was heard, by DevEUI."""

    of: Mapping[str, Delivery]
    source: str

    def share(self, device: DeviceRecord, begin_s: float, end_s: float) -> float | None:
        """How much of what is expected came, 0 to 1; None for who was never heard.

        Expected is what the device numbered; and, where its record states an interval, a reading in each from when it
        was installed, or heard first: who falls silent delivers less and less.
        """
        found = self.of.get(device.dev_eui or "")
        if found is None or not found.received:
            return None
        expected = max(found.expected, found.received)
        intervals = [stream.interval_s for stream in device.streams if stream.interval_s is not None]
        installed = device.lifecycle.installed_at
        since_s = found.first_s if installed is None else installed.timestamp()
        if intervals and since_s is not None:
            expected = max(expected, int((end_s - max(begin_s, since_s)) / max(intervals)))
        return found.received / expected

    def last_s(self) -> dict[str, float]:
        """When each was heard last."""
        return {dev_eui: each.last_s for dev_eui, each in self.of.items() if each.last_s is not None}


def read_store(ledger: Ledger, begin_s: float, end_s: float, longest_gap_h: float) -> Heard:
    """What the store of a receiver holds of a period. Raises ReceiverError."""
    try:
        return Heard(dict(_devices(ledger, begin_s, end_s, longest_gap_h * 3600)), "received readings")
    except ConsumerError as error:
        raise ReceiverError(f"The store of received readings cannot be read: {error}") from error


def _devices(ledger: Ledger, begin_s: float, end_s: float, gap_s: float) -> Iterator[tuple[str, Delivery]]:
    for dev_eui, expected, received, first_s, last_s in ledger.database.rows(_EACH, (begin_s, end_s)):
        energy_wh, dimmed_h = _lamp(ledger, str(dev_eui), begin_s, end_s, gap_s)
        delivery = Delivery(int(expected), int(received), float(first_s), float(last_s), energy_wh, dimmed_h)
        yield str(dev_eui), delivery


def _lamp(
    ledger: Ledger, dev_eui: str, begin_s: float, end_s: float, gap_s: float
) -> tuple[float | None, float | None]:
    """Energy and hours dimmed of a street light; None for whoever never says such a thing.

    Energy is what its meter went forward; a meter that begins anew counts from zero. A reading holds until the next,
    though no longer than `gap_s`.
    """
    texts = [f'%"{_LAMP[name]}":%' for name in ("energy_wh", "dim_pct")]
    metered: float | None = None
    dimmed_s: float | None = None
    energy_wh, before = 0.0, (0.0, False)
    for time_s, measured in ledger.database.rows(_LIT, (dev_eui, begin_s, end_s, *texts)):
        values = json.loads(measured)
        now_wh = values.get(_LAMP["energy_wh"])
        if isinstance(now_wh, (int, float)):
            forward = now_wh - metered if metered is not None and now_wh >= metered else now_wh
            energy_wh += 0.0 if metered is None else forward
            metered = now_wh
        dimmed_s = (dimmed_s or 0.0) + (min(float(time_s) - before[0], gap_s) if before[1] else 0.0)
        before = (float(time_s), _is_dimmed(values))
    return None if metered is None else energy_wh, None if dimmed_s is None else dimmed_s / 3600


def _is_dimmed(values: Mapping[str, Any]) -> bool:
    dim = values.get(_LAMP["dim_pct"])
    return values.get(_LAMP["lamp_on"]) is not False and isinstance(dim, (int, float)) and 0 < dim < 1


def as_csv(heard: Heard) -> str:
    """The file for somebody who cannot read the store."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for dev_eui, each in heard.of.items():
        times = [
            None if at is None else datetime.fromtimestamp(at, UTC).isoformat() for at in (each.first_s, each.last_s)
        ]
        numbers = [each.energy_wh, None if each.dimmed_h is None else round(each.dimmed_h, 3)]
        row = [dev_eui, each.expected, each.received, *times, *numbers]
        writer.writerow(["" if value is None else value for value in row])
    return out.getvalue()


def read_file(path: Path) -> Heard:
    """The file that `as_csv` wrote, or one with its first three columns. Raises ConfigError, InvalidIdentity."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = {parse_eui(row["dev_eui"]).hex(): _row(row) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ConfigError(
            "The file of deliveries cannot be used.",
            value=path,
            reason=f"{type(error).__name__}: {str(error)[:100]}",
            next_step="lykta report delivery writes one; its first line begins with dev_eui,expected,received",
        ) from error
    return Heard(found, "file of deliveries")


def _row(row: Mapping[str, str | None]) -> Delivery:
    times = [datetime.fromisoformat(text).timestamp() if (text := row.get(name)) else None for name in COLUMNS[3:5]]
    numbers = [float(text) if (text := row.get(name)) else None for name in COLUMNS[5:]]
    expected, received = int(row["expected"] or 0), int(row["received"] or 0)
    if not received >= 0 or not expected >= 0:
        raise ValueError(f"{expected} expected, {received} received")
    return Delivery(expected, received, times[0], times[1], numbers[0], numbers[1])
