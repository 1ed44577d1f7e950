# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where the status page's content comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.operate.metrics import Metrics


@dataclass(frozen=True)
class Source:
    """What the page asks of the gateway."""

    gather: Callable[[], Awaitable[dict[str, Any]]]
    reload: Callable[[], Awaitable[Mapping[str, Any]]]
    metrics: Metrics
