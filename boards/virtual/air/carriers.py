# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Unmodulated carriers, as test laboratories ask for them: booked and told; they disturb nobody. Pure."""

from typing import Any

from boards.virtual.air.duty import DutyLedger
from boards.virtual.air.messages import Carry, duty_fields


class Carriers:
    """At most one of each radio."""

    def __init__(self, ledger: DutyLedger) -> None:
        self._ledger = ledger
        self._open: dict[str, Carry] = {}

    def begin(self, radio_id: str, carry: Carry) -> None:
        """A carrier begins; one that the radio sent before must have ended."""
        self._open[radio_id] = carry

    def end(self, radio_id: str, at_us: int) -> dict[str, Any] | None:
        """The radio does something else from that moment: its carrier's line for the log, None if it sent none."""
        carry = self._open.pop(radio_id, None)
        if carry is None:
            return None
        until_us = max(at_us, carry.from_us)
        return {
            "event": "carrier",
            "from": radio_id,
            "at_us": carry.from_us,
            "until_us": until_us,
            "freq_hz": carry.freq_hz,
            "power_dbm": carry.power_dbm,
            "duty": duty_fields(self._ledger.record(radio_id, carry.freq_hz, 0, carry.from_us, until_us)),
        }
