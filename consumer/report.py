# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a verifier has found, as data for people and programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from consumer.envelope import Ended
from consumer.senml import Value


class Json:
    """Gives a dataclass its JSON text."""

    __slots__ = ()

    def to_json(self) -> str:
        """The object as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """The object as JSON-able values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every subclass is a dataclass


@dataclass(frozen=True, slots=True)
class VerifiedReading(Json):
    """One reading of one device whose signature, certificate and place were checked.

    `dev_eui` is 16 hexadecimal digits, `time` Unix seconds, `values` and `units` go by SenML name, `record` is
    its number in the gateway's stream. `duplicate`: the device's reading `seq` came before in another record.
    """

    dev_eui: str
    seq: int
    time: float
    values: dict[str, Value]
    record: int
    units: dict[str, str] = field(default_factory=dict)
    time_source: str = "device"
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class EndedStream(Json):
    """What a gateway said, signed, of a stream of its that ended because its store was damaged.

    `stream_id` is empty when it does not know which, `last` the highest record that it knows of it. `saved` records
    were rescued and still come; `lost` ones were not, None when nobody knows how many.
    """

    stream_id: str
    last: int
    saved: int
    lost: int | None

    @classmethod
    def of(cls, ended: Ended) -> EndedStream:
        """The same as data."""
        return cls(ended.stream_id.hex(), ended.last, ended.saved, ended.lost)

    def words(self) -> str:
        """The same for people."""
        which = f"stream {self.stream_id} ended at record {self.last}" if self.stream_id else "a stream ended"
        lost = "nobody knows how many" if self.lost is None else str(self.lost)
        return f"{which}, because its store was damaged: {self.saved} records saved, {lost} lost"


@dataclass(frozen=True, slots=True)
class Verified(Json):
    """A message that passed every check. `redelivered`: its records came before and must not count again."""

    gateway: str
    stream_id: str
    first: int
    last: int
    iat_s: int
    readings: list[VerifiedReading]
    redelivered: bool
    new_stream: bool
    lost_because: str = ""
    """Not empty: a notice that the gateway gave up the records `first` to `last`, and why."""
    ended: EndedStream | None = None
    """Not None: a notice that another stream of the gateway ended."""


@dataclass(frozen=True, slots=True)
class StreamReport(Json):
    """One stream: `missing` records in `missing_ranges` (the first ones), `envelopes` and `records` accepted.

    `lost` records are not missing: the gateway said, signed, that it gave them up. `ended_at`: the gateway said
    that the stream ended, and that this was its last record as far as it knows; what did not come then is `missing`.
    """

    gateway: str
    stream_id: str
    first: int
    last: int
    envelopes: int
    records: int
    missing: int
    missing_ranges: list[tuple[int, int]]
    lost: int
    redelivered: int
    late: int
    undecided: int
    forks: int
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class Report(Json):
    """Everything a verifier has seen. `refused` counts messages by the type of their error.

    `ended`: streams that ended because a gateway's store was damaged; `unknown_ends`: of these, those of which the
    gateway does not know how many records were lost.
    """

    gateways: int
    devices: int
    readings: int
    duplicates: int
    missing: int
    lost: int
    forks: int
    redelivered: int
    late: int
    undecided: int
    refused: dict[str, int]
    first_refusals: dict[str, str]
    streams: list[StreamReport]
    ended: int = 0
    unknown_ends: int = 0

    @property
    def clean(self) -> bool:
        """Nothing failed, nothing is missing or lost, nothing is told in two ways, nothing came as two readings."""
        wrong = self.refused or self.missing or self.lost or self.forks or self.duplicates or self.undecided
        return not (wrong or self.unknown_ends)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values, with `clean`."""
        return {**asdict(self), "clean": self.clean}
