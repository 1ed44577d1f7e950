# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which data may leave the city: the rules decide, one finding holds a dataset back (OPEN-1 to 6, PRIV)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioning.guidelines.findings import Severity
from provisioning.guidelines.render_text import message
from provisioning.model.datasets import Dataset
from provisioning.model.device import DeviceRecord
from provisioning.model.streams import Stream
from provisioning.reports.judged import Judged, about_stream, judge

if TYPE_CHECKING:
    from provisioning.guidelines.engine import Guidelines

GATE: Final = (
    *("GOV-1", "OPEN-1", "OPEN-2", "OPEN-5", "OPEN-6"),
    *("PRIV-1", "PRIV-2", "PRIV-3", "PRIV-4", "PRIV-5", "PRIV-6", "PRIV-8", "PRIV-9"),
)
"""The rules of the gate (guidelines OPEN-6: privacy has passed, too). Rules that nobody adopted release nothing."""
LIVE: Final = frozenset({"installed", "operational"})
_HOLDS: Final = frozenset({Severity.BLOCK, Severity.APPROVE})


class Released(NamedTuple):
    """A dataset that may be published, with the streams in it."""

    dataset: Dataset
    streams: tuple[tuple[DeviceRecord, Stream], ...]


class HeldBack(NamedTuple):
    """A dataset that may not, and why."""

    dataset: Dataset
    reasons: tuple[str, ...]


def gate(rules: Guidelines, datasets: Sequence[Dataset]) -> tuple[list[Released], list[HeldBack]]:
    """Part the datasets. One stream that may not leave holds back its whole dataset: they would leave together."""
    streams: defaultdict[str, list[tuple[DeviceRecord, int, Stream]]] = defaultdict(list)
    for device in rules.stock.devices():
        for index, stream in enumerate(device.streams):
            if device.lifecycle.stage in LIVE and stream.openness is not None and stream.openness.dataset_id:
                streams[stream.openness.dataset_id].append((device, index, stream))
    asked = {device.id: device for found in streams.values() for device, _, _ in found}
    judged = judge(rules.only(*GATE), asked.values())
    released, held_back = [], []
    for dataset in sorted(datasets, key=lambda each: each.id):
        found = streams[dataset.id]
        reasons = sorted({reason for each in found for reason in withheld(judged, *each)})
        reasons += [f"the rule pack lacks {each}" for each in GATE if each not in rules.pack.rules]
        if not found:
            reasons = ["no device that stands releases a stream into it"]
        licences = rules.pack.tables.licences
        if dataset.license not in licences:
            reasons.append(f"its licence {dataset.license} is not one of {', '.join(sorted(licences))}")
        if reasons:
            held_back.append(HeldBack(dataset, tuple(reasons)))
        else:
            released.append(Released(dataset, tuple((device, stream) for device, _, stream in found)))
    return released, held_back


def withheld(judged: Judged, device: DeviceRecord, index: int, stream: Stream) -> list[str]:
    """Why a stream may not leave: it is not decided to be open, or a rule of the gate is broken. No time of grace."""
    level = stream.openness.level if stream.openness is not None else "not decided"
    found = [f"{device.id} {stream.property} is {level}, not open"] if level != "open" else []
    for rule_id in GATE:
        for hit in judged.hits(device, rule_id):
            elsewhere = hit.hit is not None and hit.hit.field.startswith("/streams/") and not about_stream(hit, index)
            if hit.severity in _HOLDS and not elsewhere:
                found.append(f"{device.id} {stream.property}: {rule_id} {message(hit, 'en')}")
    return found
