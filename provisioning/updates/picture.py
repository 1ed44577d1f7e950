# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A picture of a roll-out: a bar for each wave, in text and as SVG. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from firmware.wire import update
from provisioning.updates import rollout
from provisioning.updates.rollout import BoardState, Standing

if TYPE_CHECKING:
    from provisioning.register.rollouts import Rollout

_WIDTH: Final = 80
_BAR: Final = 40
_WORDS: Final = 40
"""Columns for the wave's number, and the states of its boards in words."""
_SILENT_MIN: Final = 2
_SIGN: Final = {
    rollout.CONFIRMED: "█",
    rollout.TRIAL: "▓",
    rollout.INSTALLING: "▓",
    rollout.SENDING: "▒",
    rollout.WAITING: "·",
    rollout.FAILED: "x",
    rollout.WITHDRAWN: "-",
}
_COLOUR: Final = {
    rollout.CONFIRMED: "#2e7d4f",
    rollout.TRIAL: "#7fb08f",
    rollout.INSTALLING: "#7fb08f",
    rollout.SENDING: "#4f86b8",
    rollout.WAITING: "#d8d8d8",
    rollout.FAILED: "#b3261e",
    rollout.WITHDRAWN: "#8a8a8a",
}
_REMEDY: Final = {
    update.PROBLEM[problem]: remedy
    for problem, remedy in (
        (update.NO_SLOT, "its node lies outside the two slots of `lykta enroll`; enrol it by cable: lykta enroll PORT"),
        (update.UNKNOWN_KEY, "it trusts the release keys that the city had when it was enrolled: lykta enroll PORT"),
        (update.NOT_NEWER, "it has confirmed as high a number: lykta update sign --sequence, with a higher one"),
        (
            update.OTHER_BOARD,
            "it is another board than the release is for: name the boards of each in a plan of its own",
        ),
        (update.OTHER_PURPOSE, "it was enrolled as another kind, or for other links, than the release is for"),
        (update.OTHER_BYTECODE, "its MicroPython loads another byte-code: lykta flash PORT brings the pinned one"),
        (update.OTHER_BASE, "it does not run the --base of the release: lykta update sign without --base"),
        (update.NO_ROOM, "a release in differences is smaller: lykta update sign --base the build that it runs"),
        (
            update.UNHEALTHY,
            "it did not work there, and the build before runs again: try it on the bench, lykta update cable PORT",
        ),
    )
}
_MOST_LISTED: Final = 20
_LEFT, _WIDE, _RIGHT, _HIGH, _STEP = 160, 480, 340, 22, 34
"""Room for the wave's name and size; its bar; what its boards do (six states in words fit); all in pixels."""


def line(name: str, boards: Sequence[BoardState], standing: Standing) -> str:
    """One line about all of it."""
    waves = max((each.wave for each in boards), default=0)
    why = f" ({standing.why})" if standing.why else ""
    return f"{name}: {standing.state}, wave {standing.wave} of {waves}, {_counted(standing.tally)}{why}"


def text(
    found: Rollout,
    boards: Sequence[BoardState],
    standing: Standing,
    named: Mapping[str, str],
    now_s: float,
    width: int = _WIDTH,
) -> list[str]:
    """A bar for each wave, and the boards that are neither waiting nor confirmed, for a terminal of *width* columns."""
    size = max(1, int(found.facts.get("bytes", 1)))
    lines = [line(found.id, boards, standing)]
    bar = max(_BAR // 4, min(_BAR, width - _WORDS))
    for wave, members in _waves(boards):
        lines.append(f"wave {wave:<3} {_bar(members, bar)}  {_counted(Counter(each.state for each in members))}")
    told = [each for each in boards if each.state not in (rollout.WAITING, rollout.CONFIRMED)]
    for each in told[:_MOST_LISTED]:
        part = f" {100 * each.have // size} %" if each.state == rollout.SENDING else ""
        problem = f": {each.problem}" if each.problem else ""
        minutes = int(now_s - each.changed_at_s) // 60
        if each.state == rollout.SENDING and minutes >= _SILENT_MIN and each.changed_at_s:
            problem += (
                f", nothing came of it for {minutes} min: is it in reach, and does it trust this city's releases?"
            )
        lines.append(f"  {each.dev_eui} {named.get(each.dev_eui, '')}  {each.state}{part}{problem}")
    if len(told) > _MOST_LISTED:
        lines.append(f"  and {len(told) - _MOST_LISTED} more; --json shows them")
    problems = sorted({each.problem for each in told if each.state == rollout.FAILED} & _REMEDY.keys())
    return [*lines, *(f"{problem}: {_REMEDY[problem]}" for problem in problems)]


def svg(found: Rollout, boards: Sequence[BoardState], standing: Standing) -> str:
    """The same as a picture, which needs nothing else to be shown."""
    waves = _waves(boards)
    high = 70 + _STEP * len(waves) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + _RIGHT} {high}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="24" font-size="16">{escape(line(found.id, boards, standing))}</text>',
    ]
    for at, (wave, members) in enumerate(waves):
        y, x = 44 + _STEP * at, float(_LEFT)
        parts.append(f'<text x="10" y="{y + 16}">wave {wave}: {_boards(len(members))}</text>')
        counts = Counter(each.state for each in members)
        for state in rollout.BOARD_STATES:
            width = _WIDE * counts[state] / len(members)
            if width:
                title = f"<title>{counts[state]} {state}</title>"
                box = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_HIGH}"'
                parts.append(f'<rect {box} fill="{_COLOUR[state]}">{title}</rect>')
            x += width
        parts.append(f'<text x="{_LEFT + _WIDE + 10}" y="{y + 16}">{escape(_counted(counts))}</text>')
    for at, state in enumerate(each for each in rollout.BOARD_STATES if each != rollout.INSTALLING):
        x = 10 + 110 * at
        parts.append(f'<rect x="{x}" y="{high - 26}" width="12" height="12" fill="{_COLOUR[state]}"/>')
        parts.append(f'<text x="{x + 17}" y="{high - 15}">{state}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _waves(boards: Sequence[BoardState]) -> list[tuple[int, list[BoardState]]]:
    found: dict[int, list[BoardState]] = {}
    for each in boards:
        found.setdefault(each.wave, []).append(each)
    return sorted(found.items())


def _bar(members: Sequence[BoardState], width: int) -> str:
    """Of equal length for all waves; a state that one board is in is seen."""
    counts = Counter(each.state for each in members)
    shown = {state: max(1, round(width * counts[state] / len(members))) for state in counts if counts[state]}
    most = max(shown, key=lambda state: shown[state])
    shown[most] += width - sum(shown.values())
    return "".join(_SIGN[state] * shown.get(state, 0) for state in rollout.BOARD_STATES)


def _boards(count: int) -> str:
    return "1 board" if count == 1 else f"{count} boards"


def _counted(tally: Mapping[str, int]) -> str:
    return ", ".join(f"{tally[state]} {state}" for state in rollout.BOARD_STATES if tally.get(state))
