# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the rules refused, kept in the log: which rules stop people most is what the yearly report asks (K14)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from provisioning.errors import ProvisioningError, RefusedByRules

if TYPE_CHECKING:
    from provisioning.register.log import Change
    from provisioning.registry import Registry

REFUSED: Final = "device.refused"
_MAX_SUBJECT: Final = 128
_log = logging.getLogger("lykta.register")


def log(change: Change, error: RefusedByRules) -> None:
    """Add a refusal to a change that is going on. It is about no device of the register, and holds no record."""
    about = error.refusal
    if about is None:
        return
    subject = about.device_id or about.dev_eui or about.name or about.kind
    body = {name: value for name, value in about._asdict().items() if value is not None}
    change.log(REFUSED, subject[:_MAX_SUBJECT], {**body, "rules": list(about.rules)})


def keep(registry: Registry, errors: Sequence[ProvisioningError | None]) -> None:
    """Log refusals whose own change was taken back. Whatever goes wrong here, the refusal itself is what is told."""
    refused = [each for each in errors if isinstance(each, RefusedByRules) and each.refusal is not None]
    if not refused:
        return
    try:
        with registry.change() as change:
            for each in refused:
                log(change, each)
    except ProvisioningError as error:
        _log.warning("a refusal could not be kept in the log: %s", error)
