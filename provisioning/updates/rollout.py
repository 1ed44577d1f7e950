# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A release on its way to many boards, in waves. Pure: how it stands follows from what each board did.

So no process has to live as long as a roll-out: whoever looks, a gateway or a person, comes to the same answer. A wave
begins when enough boards of the wave before have confirmed; when too many boards failed, none begins any more and what
is half sent is withdrawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from provisioning.errors import BoardError

WAITING: Final = "waiting"
SENDING: Final = "sending"
INSTALLING: Final = "installing"
"""It is told to, or was; noted before it is told."""
TRIAL: Final = "trial"
CONFIRMED: Final = "confirmed"
FAILED: Final = "failed"
WITHDRAWN: Final = "withdrawn"
BOARD_STATES: Final = (CONFIRMED, TRIAL, INSTALLING, SENDING, WAITING, FAILED, WITHDRAWN)
ENDED: Final = frozenset({CONFIRMED, FAILED, WITHDRAWN})

PLANNED: Final = "planned"
STARTED: Final = "started"
ABORTED: Final = "aborted"
"""What the register holds of a roll-out; the rest follows."""
RUNNING: Final = "running"
STOPPED: Final = "stopped"
DONE: Final = "done"
MAX_WAVES: Final = 100


@dataclass(frozen=True)
class Gates:
    """When a wave may begin. `confirm_percent` of the wave before have confirmed, `rest_s` ago at least."""

    confirm_percent: int = 100
    max_failed: int = 0
    """More failures than that, in the whole roll-out, stop it."""
    rest_s: int = 0


@dataclass(frozen=True)
class BoardState:
    """One board of a roll-out, as a gateway noted it. `have`: bytes that the board has."""

    dev_eui: str
    wave: int
    """From 1."""
    state: str = WAITING
    problem: str = ""
    have: int = 0
    gateway: str = ""
    changed_at_s: int = 0


@dataclass(frozen=True)
class Standing:
    """How a roll-out stands. `wave`: the last that has begun, 0 before the first."""

    state: str
    wave: int
    why: str
    tally: Counter[str]


def standing(kept: str, gates: Gates, boards: Sequence[BoardState], now_s: float) -> Standing:
    """How it stands; `kept` is what the register says of it."""
    tally = Counter(each.state for each in boards)
    if kept == PLANNED:
        return Standing(PLANNED, 0, "lykta update start begins it", tally)
    wave, waits_for = _open_wave(gates, boards, now_s)
    if tally[FAILED] > gates.max_failed:
        return Standing(STOPPED, wave, f"{tally[FAILED]} failed, {gates.max_failed} may", tally)
    if kept == ABORTED:
        return Standing(ABORTED, wave, "by a person", tally)
    if all(each.state in ENDED for each in boards):
        return Standing(DONE, wave, "", tally)
    return Standing(RUNNING, wave, waits_for, tally)


def _open_wave(gates: Gates, boards: Sequence[BoardState], now_s: float) -> tuple[int, str]:
    """The last wave that may go on, and what the next one waits for."""
    last = max((each.wave for each in boards), default=0)
    for wave in range(1, last):
        members = [each for each in boards if each.wave == wave]
        confirmed = [each for each in members if each.state == CONFIRMED]
        needed = math.ceil(len(members) * gates.confirm_percent / 100)
        if len(confirmed) < needed:
            return wave, f"wave {wave + 1} waits for {needed - len(confirmed)} more of {needed} to confirm"
        rests_until_s = max((each.changed_at_s for each in confirmed), default=0) + gates.rest_s
        if gates.rest_s and now_s < rests_until_s:
            return wave, f"wave {wave + 1} waits {rests_until_s - now_s:.0f} s more"
    return last, ""


def to_carry(found: Standing, boards: Iterable[BoardState]) -> list[BoardState]:
    """The boards that the release is to be carried to now, or that have it on trial."""
    begun = found.state == RUNNING
    return [
        each
        for each in boards
        if each.state in (INSTALLING, TRIAL) or (begun and each.state in (WAITING, SENDING) and each.wave <= found.wave)
    ]


def to_withdraw(found: Standing, boards: Iterable[BoardState]) -> list[BoardState]:
    """The boards that are to forget what they have of it."""
    return [each for each in boards if found.state in (STOPPED, ABORTED) and each.state == SENDING]


def waves(text: str, count: int) -> list[int]:
    """How many boards each wave has: `1,10%` of 50 are 1, 5 and the 44 that are left. Raises BoardError."""
    sizes: list[int] = []
    for part in [each.strip() for each in text.split(",") if each.strip()]:
        digits = part.removesuffix("%")
        if not digits.isascii() or not digits.isdigit() or int(digits) < 1 or (part != digits and int(digits) > 100):
            raise BoardError(
                "A wave is a number of boards, or a share of all.", value=part, next_step="write for example 1,10%,50%"
            )
        size = int(digits) if part == digits else math.ceil(count * int(digits) / 100)
        sizes.append(min(size, count - sum(sizes)))
    sizes.append(count - sum(sizes))
    found = [size for size in sizes if size > 0]
    if len(found) > MAX_WAVES:
        raise BoardError(f"A roll-out has {MAX_WAVES} waves at most.", value=len(found))
    return found
