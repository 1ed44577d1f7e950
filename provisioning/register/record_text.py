# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the text of a device's row in the register says."""

from __future__ import annotations

from provisioning.errors import RegisterError
from provisioning.model.device import WIRE_KINDS, DeviceRecord


def wire_kind(record: DeviceRecord) -> str:
    """What a device speaks on the air."""
    return record.wire_kind or WIRE_KINDS.get(record.kind, record.kind)


def load(text: str) -> DeviceRecord:
    """The record of a row. Raises RegisterError when it is not one."""
    try:
        return DeviceRecord.model_validate_json(text)
    except ValueError as error:
        raise RegisterError(
            "A device record in the register does not follow its schema.",
            value=text[:40],
            reason=str(error).splitlines()[0],
            next_step="lykta log verify shows whether it was changed; then restore it from a backup",
        ) from error
