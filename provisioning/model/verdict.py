# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the register needs to know of a judgement: may this record be registered?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from provisioning.model.device import DeviceRecord
    from provisioning.model.stock import Stock

Outcome = Literal["ok", "needs_approval", "blocked"]


class Verdict(Protocol):
    """The judgement on one record."""

    @property
    def outcome(self) -> Outcome:
        """`blocked` records are refused, `needs_approval` ones are kept in that stage, `ok` ones are approved."""

    @property
    def rulepack_version(self) -> str:
        """Of the rules it was judged by."""

    @property
    def blocking(self) -> tuple[str, ...]:
        """Ids of the rules that keep it from `ok`, in the order of evaluation."""

    def lines(self) -> list[str]:
        """All findings as text for a technician."""


Judge = Callable[["Sequence[DeviceRecord]", "Stock"], "Sequence[Verdict]"]
"""Judges the records of one batch together, in their order: members of a batch do not find each other."""
