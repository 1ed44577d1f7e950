# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MOD: parts that can be exchanged, records that can be taken along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import ValidationError

from provisioning.guidelines import ask
from provisioning.guidelines.findings import Hit, Mode
from provisioning.guidelines.rule import Case, rule
from provisioning.model.device import DeviceRecord

# What the stock holds was read from such a text already.
_BEFORE: Final = frozenset({Mode.CHECK, Mode.REGISTER})


@rule("MOD-1", when=lambda case: bool(case.record.streams))
def exchangeable(case: Case) -> Iterator[Hit]:
    """The same device can deliver to another platform by configuration alone."""
    codec = case.record.codec
    if codec is not None and codec.vendor_cloud:
        yield Hit("cloud", "/codec/vendor_cloud", observed=True, required=False)
    for pointer, stream in ask.streams(case.record):
        if stream.sinks and all(sink.kind == "direct" for sink in stream.sinks):
            name = stream.sinks[0].platform_id
            yield Hit("tied", f"{pointer}/sinks", name, "integration", {"stream": stream.property, "sink": name})


@rule("MOD-2", modes=_BEFORE)
def exportable(case: Case) -> Iterator[Hit]:
    """The record survives being written down and read again."""
    try:
        again = DeviceRecord.model_validate_json(case.record.model_dump_json())
    except ValidationError as error:
        yield Hit("unreadable", "", str(error.error_count()))
        return
    if again != case.record:
        yield Hit("changed", "")
