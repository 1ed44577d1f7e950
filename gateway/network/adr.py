# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Adaptive data rate: from how a device was heard to the fastest rate and lowest power that leave a margin. Pure.

The steps of 3 dB and the table of repetitions are those that Semtech recommends for networks ("LoRaWAN - simple rate
adaptation recommended algorithm", 2016) and that ChirpStack ships. Devices lower their rate themselves (TS001-1.0.4
section 4.3.1.1), so a network only raises it, and raises power when the link got worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from firmware.wire.region import DATA_RATES, MAX_DEFAULT_DR, MAX_TX_POWER
from gateway.network.options import REQUIRED_SNR_DB

if TYPE_CHECKING:
    from collections.abc import Sequence

HISTORY = 20
STEP_DB = 3.0
_DB_PER_POWER_STEP = 2.0
_SHORT_HISTORY_DB = 2.5
"""More margin while few frames are known: the best of few says less."""
# By loss (below 5, 10, 30 percent, and above) and by the present number of transmissions (1, 2, 3).
_NB_TRANS = ((1, 1, 2), (1, 2, 3), (2, 3, 3), (3, 3, 3))
_LOSS_PCT = (5, 10, 30)


_new = tuple.__new__
"""As Heard(...), in half of the time: each frame makes one."""


class Heard(NamedTuple):
    """One frame of a device, as the best gateway heard it."""

    fcnt: int
    full_power_db: float
    """SNR as it would have been at full power, so that frames before and after a change of power compare."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a LinkADRReq sets: data rate, TXPower index (each 2 dB below full power), transmissions of each frame."""

    dr: int
    tx_power: int = 0
    nb_trans: int = 1


def heard(fcnt: int, snr_db: float, tx_power: int) -> Heard:
    """Return the history's entry for a frame that was sent at TXPower *tx_power*."""
    return _new(Heard, (fcnt, snr_db + _DB_PER_POWER_STEP * tx_power))


def decide(
    history: Sequence[Heard],
    now: Setting,
    margin_db: float,
    max_dr: int = MAX_DEFAULT_DR,
    max_tx_power: int = MAX_TX_POWER,
    min_tx_power: int = 0,
) -> Setting:
    """Return the setting to ask for; *now* when it is right as it is. *min_tx_power*: no more power than that."""
    if not history:
        return now
    full = len(history) >= HISTORY
    best_db = max(each.full_power_db for each in history) - _DB_PER_POWER_STEP * now.tx_power
    spare_db = best_db - REQUIRED_SNR_DB[DATA_RATES[now.dr][0]] - margin_db - (0 if full else _SHORT_HISTORY_DB)
    steps = int(spare_db / STEP_DB)  # towards zero
    dr, tx_power = now.dr, now.tx_power
    if tx_power < min_tx_power:
        steps -= round((min_tx_power - tx_power) * _DB_PER_POWER_STEP / STEP_DB)
        tx_power = min_tx_power
    while steps > 0 and (dr < max_dr or tx_power < max_tx_power):
        dr, tx_power = (dr + 1, tx_power) if dr < max_dr else (dr, tx_power + 1)
        steps -= 1
    if steps < 0 and full:
        tx_power = max(min_tx_power, tx_power + steps)
    return Setting(dr, tx_power, nb_trans(history, now.nb_trans))


def nb_trans(history: Sequence[Heard], now: int) -> int:
    """Return how often each frame should be sent, from the frames that never came."""
    if len(history) < HISTORY:
        return now
    sent = history[-1].fcnt - history[0].fcnt + 1
    loss_pct = 100 * (sent - len(history)) / sent
    row = sum(loss_pct >= limit for limit in _LOSS_PCT)
    return _NB_TRANS[row][min(max(now, 1), 3) - 1]
