# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the tests of outputs share: readings with their place in a stream, and what a register says of devices."""

from collections.abc import Iterable, Sequence
from typing import Any

from firmware.wire.kinds.terms import terms
from gateway.records import envelope, senml
from gateway.records.envelope import Ended, Position, Signer
from gateway.records.reading import Reading
from gateway.releases.opening import Item
from gateway.releases.settings import ReleaseSettings
from provisioning.outputs import Facts, Refusal, Wanted

STREAM = bytes(range(8))
SIGNER = Signer("urn:dev:mac:0200000000000a01", -19, bytes(32), lambda _: bytes(64))
START_S = 1_790_000_000


def item(kind: str, number: int = 1, record: int = 1, time_s: float = START_S, **values: float | bool) -> Item:
    """A reading of device *number*; *values* by field, in the SenML unit."""
    known = terms(kind)
    return Item(
        STREAM.hex(),
        record,
        f"{number:016x}",
        record,
        time_s,
        "device",
        {known[field].senml_name: value for field, value in values.items()},
        {known[field].senml_name: known[field].senml_unit or "" for field in values if known[field].senml_unit},
    )


def facts(kind: str, number: int = 1, **changes: Any) -> Facts:
    """A device that stands in the street and has a record."""
    values = {
        "kind": kind,
        "device_id": f"TRK-{number:04}",
        "lat": 59.33258,
        "lon": 18.06491,
        "asset": f"POLE-{number}",
    }
    return Facts(**{**values, **changes})


def rules(**settings: Any) -> ReleaseSettings:
    """Settings as they stand in ``[platforms.release]``."""
    return ReleaseSettings.model_validate(settings)


class Register:
    """A directory without a database."""

    def __init__(self, known: dict[str, Facts | None] | None = None) -> None:
        self.known = known if known is not None else {}
        self.refused: list[Refusal] = []
        self.kind = "street_light"

    async def facts(self, dev_euis: Iterable[str]) -> dict[str, Facts | None]:
        """Devices that nobody named stand in the street."""
        return {each: self.known.get(each, facts(self.kind, int(each, 16))) for each in dev_euis}

    async def refusals(self, wanted: Wanted) -> Sequence[Refusal]:
        return self.refused


class SenmlSealer:
    """Real envelopes with a signature that nobody checks."""

    def seal(self, readings: Sequence[Reading], position: Position) -> bytes:
        return envelope.seal(senml.encode(readings), position, START_S, SIGNER)

    def loss(self, position: Position, tail: bytes, why: str) -> bytes:
        return envelope.seal_loss(position, tail or bytes(32), why, START_S, SIGNER)

    def ended(self, position: Position, ended: Ended) -> bytes:
        return envelope.seal_end(position, ended, START_S, SIGNER)
