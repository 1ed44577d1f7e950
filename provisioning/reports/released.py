# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which data may leave the city: the gate of the open-data catalogue (guidelines OPEN-5, OPEN-6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from provisioning.model.datasets import Dataset
from provisioning.model.device import DeviceRecord
from provisioning.model.stock import Stock
from provisioning.model.streams import Stream

LICENCES: Final = frozenset(
    {"https://creativecommons.org/publicdomain/zero/1.0/", "https://creativecommons.org/licenses/by/4.0/"}
)
_LIVE: Final = frozenset({"installed", "operational"})


class Released(NamedTuple):
    """A dataset that may be published, with the streams in it."""

    dataset: Dataset
    streams: tuple[tuple[DeviceRecord, Stream], ...]


class HeldBack(NamedTuple):
    """A dataset that may not, and why."""

    dataset: Dataset
    reasons: tuple[str, ...]


def gate(stock: Stock, datasets: Sequence[Dataset]) -> tuple[list[Released], list[HeldBack]]:
    """Part the datasets. One stream that may not leave holds back its whole dataset: they would leave together."""
    streams: defaultdict[str, list[tuple[DeviceRecord, Stream]]] = defaultdict(list)
    for device in stock.devices():
        for stream in device.streams:
            if device.lifecycle.stage in _LIVE and stream.openness is not None and stream.openness.dataset_id:
                streams[stream.openness.dataset_id].append((device, stream))
    released, held_back = [], []
    for dataset in sorted(datasets, key=lambda each: each.id):
        found = streams[dataset.id]
        reasons = sorted({reason for device, stream in found for reason in closed_by(device, stream)})
        if not found:
            reasons = ["no device that stands releases a stream into it"]
        if dataset.license not in LICENCES:
            reasons.append(f"its licence {dataset.license} is not one of {', '.join(sorted(LICENCES))}")
        if reasons:
            held_back.append(HeldBack(dataset, tuple(reasons)))
        else:
            released.append(Released(dataset, tuple(found)))
    return released, held_back


def closed_by(device: DeviceRecord, stream: Stream) -> list[str]:
    """Why a stream may not be open; empty where it may."""
    name = f"{device.id} {stream.property}"
    openness, personal = stream.openness, device.personal_data
    found = []
    if openness is None or openness.level != "open":
        found.append(f"{name} is {openness.level if openness else 'not decided'}, not open")
    if stream.klassa is None or stream.klassa.K > 0:
        found.append(f"{name} is not classified as K 0")
    if personal is None or personal.level != "none":
        found.append(f"{name} is not stated to be without personal data")
    return found
