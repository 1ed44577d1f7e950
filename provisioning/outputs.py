# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the register says of an output of a gateway: whether there may be one, and what may go out through it.

A gateway asks when it starts an output, and for each device that it hears. What may be open is what the one evaluation
of the guidelines lets out, as in the catalogue of open data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from provisioning.guidelines import city_pack
from provisioning.guidelines.engine import Guidelines, guidelines
from provisioning.guidelines.findings import Mode
from provisioning.model.datasets import Dataset
from provisioning.model.lifecycle import TALKING
from provisioning.register.record_text import wire_kind
from provisioning.register.stock import objects
from provisioning.reports.judged import judge as judge_devices
from provisioning.reports.released import GATE, gate, withheld

if TYPE_CHECKING:
    from provisioning.guidelines.signed_pack import LoadedPack
    from provisioning.model.device import DeviceRecord
    from provisioning.model.stock import Stock
    from provisioning.register.answers import Answers

Level = Literal["open", "internal", "restricted"]
_RANK: Final[dict[Level, int]] = {"open": 0, "internal": 1, "restricted": 2}
_MAX_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output as its settings describe it."""

    name: str
    audience: Level
    platform_id: str | None = None
    dataset: str | None = None
    kinds: tuple[str, ...] = ()
    """Of devices, as they are called on the air; empty: all."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an output may not be, and what to do."""

    rule: str
    why: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.why}. Next: {self.next_step}."


@dataclass(frozen=True, slots=True)
class Facts:
    """What outputs need to know of a device."""

    kind: str
    """As it is called on the air."""
    device_id: str | None = None
    name: str = ""
    owner: str | None = None
    role: str | None = None
    lat: float | None = None
    lon: float | None = None
    """Degrees, WGS 84."""
    protected: bool = False
    """Where it stands is not for everybody."""
    segment: str | None = None
    asset: str | None = None
    maker: str | None = None
    model: str | None = None
    measures: tuple[str, ...] = ()
    personal: bool = False
    """What it measures may concern people."""
    declared: frozenset[str] | None = None
    """The fields that its purpose needs; None: nobody said."""
    levels: Mapping[str, Level] = field(default_factory=dict)
    """By field, as decided for its stream."""
    datasets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """Datasets of open data that its streams are released into, and which fields; None: those that are open."""
    recipients: frozenset[str | None] = frozenset()
    """Platforms that its streams may go to."""


def facts_of(record: DeviceRecord, rules: Guidelines) -> Facts:
    """Return what outputs need of a record, as the rules judge it."""
    place, personal = record.location, record.personal_data
    declared = [set(each.fields_allowed) for each in record.streams if each.fields_allowed is not None]
    return Facts(
        kind=wire_kind(record),
        device_id=record.id,
        name=record.name or "",
        owner=record.owner_org,
        role=record.role,
        lat=None if place is None else place.lat,
        lon=None if place is None else place.lon,
        protected=place is not None and place.protected,
        segment=None if place is None else place.segment_id,
        asset=None if record.asset is None else record.asset.id,
        maker=None if record.model is None else record.model.maker,
        model=None if record.model is None else record.model.name,
        measures=tuple(dict.fromkeys(each.property for each in record.streams)),
        personal=personal is not None and personal.level != "none",
        declared=frozenset(set().union(*declared)) if declared else None,
        levels=_levels(record),
        datasets=_datasets(record, rules),
        recipients=frozenset(sink.platform_id for each in record.streams for sink in each.sinks),
    )


def _levels(record: DeviceRecord) -> dict[str, Level]:
    """A field in two streams is as closed as the more closed of them."""
    levels: dict[str, Level] = {}
    for stream in record.streams:
        for name in stream.fields_allowed or ():
            if stream.openness is not None:
                levels[name] = max(levels.get(name, "open"), stream.openness.level, key=lambda level: _RANK[level])
    return levels


def _datasets(record: DeviceRecord, rules: Guidelines) -> dict[str, frozenset[str] | None]:
    found: dict[str, frozenset[str] | None] = {}
    named = [(i, each, each.openness.dataset_id) for i, each in enumerate(record.streams) if each.openness is not None]
    judged = judge_devices(rules.only(*GATE), [record] if named else [])
    for index, stream, name in named:
        if name is None or withheld(judged, record, index, stream):
            continue
        fields = None if stream.fields_allowed is None else frozenset(stream.fields_allowed)
        before = found.get(name, frozenset())
        found[name] = None if fields is None or before is None else before | fields
    return found


class Outputs:
    """The register as outputs ask it. Thread-safe, as the register is."""

    def __init__(self, registry: Answers, pack: Callable[[], LoadedPack] = city_pack.proposed) -> None:
        self._registry = registry
        self._pack = pack

    def facts(self, dev_euis: Iterable[str]) -> dict[str, Facts | None]:
        """By DevEUI (16 hex digits); None where the register knows none. Raises ProvisioningError."""
        with self._registry.stock() as stock:
            rules = self._rules(stock)
            found = {each: stock.device_by_eui(each) for each in dev_euis}
            return {each: None if record is None else facts_of(record, rules) for each, record in found.items()}

    def refusals(self, wanted: Wanted) -> list[Refusal]:
        """Return why an output may not be; empty when it may. Raises ProvisioningError."""
        with self._registry.stock() as stock:
            datasets = objects(stock.connection, Dataset)
            return list(judge(self._rules(stock), datasets, wanted))

    def _rules(self, stock: Stock) -> Guidelines:
        return guidelines(stock, self._pack(), mode=Mode.AUDIT)


def judge(rules: Guidelines, datasets: Sequence[Dataset], wanted: Wanted) -> Iterator[Refusal]:
    """Yield why an output may not be (guidelines PLAT-1, OPEN-6, PRIV-6)."""
    stock = rules.stock
    if wanted.platform_id is not None:
        yield from _platform(stock, wanted.platform_id)
    if wanted.audience == "open":
        yield from _dataset(rules, datasets, wanted.dataset or "")
    else:
        yield from _people(rules, wanted)


def _platform(stock: Stock, platform_id: str) -> Iterator[Refusal]:
    entry = stock.platform(platform_id)
    if entry is None:
        yield Refusal(
            "PLAT-1",
            f"platform_id {platform_id} is no platform of the register",
            "lykta platform list shows them, lykta platform add adds one",
        )
    elif entry.status != "active":
        yield Refusal(
            "PLAT-1", f"platform {platform_id} is {entry.status}, not active", "choose another, or lykta platform add"
        )


def _dataset(rules: Guidelines, datasets: Sequence[Dataset], name: str) -> Iterator[Refusal]:
    chosen = [each for each in datasets if each.id == name]
    if not chosen:
        yield Refusal(
            "OPEN-2",
            f"dataset {name} is none of the register",
            "lykta dataset list shows them, lykta dataset add adds one",
        )
        return
    _, held_back = gate(rules, chosen)
    for each in held_back:
        told = "; ".join(each.reasons[:_MAX_TOLD])
        more = len(each.reasons) - _MAX_TOLD
        yield Refusal(
            "OPEN-6",
            f"dataset {name} may not be released: {told}{f'; and {more} more' if more > 0 else ''}",
            "correct the records (lykta show DEVICE, lykta check), or take their streams out of the dataset",
        )


def _people(rules: Guidelines, wanted: Wanted) -> Iterator[Refusal]:
    """Personal data goes only to a recipient that was declared when it was assessed."""
    undeclared = []
    for record in rules.stock.devices():
        personal = record.personal_data is not None and record.personal_data.level != "none"
        asked = record.lifecycle.stage in TALKING and (not wanted.kinds or wire_kind(record) in wanted.kinds)
        recipients = {sink.platform_id for each in record.streams for sink in each.sinks}
        if personal and asked and (wanted.platform_id is None or wanted.platform_id not in recipients):
            undeclared.append(record.id or record.dev_eui or "?")
    if undeclared:
        told = ", ".join(undeclared[:_MAX_TOLD])
        more = len(undeclared) - _MAX_TOLD
        whom = "this output, which names no platform_id," if wanted.platform_id is None else wanted.platform_id
        yield Refusal(
            "PRIV-6",
            f"{told}{f' and {more} more' if more > 0 else ''} measure what may be personal data, "
            f"and {whom} is not among the sinks of their streams",
            "name platform_id and declare it as a sink of these streams, or leave them out with kinds",
        )
