# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a run as SVG, made of plain text: they need no library, and stand in the one page of the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from hil_tests.lab.results import Accuracy, Result

WIDTH = 960
_LEFT, _ROW, _PAD, _LONGEST = 360, 18, 64, 50
_NARROW, _TALL = 480, 34
_RADIO_HEIGHT = 190
_RSSI_DBM, _SNR_DB = (-130.0, -20.0), (-20.0, 15.0)


def timeline(tests: Sequence[Result]) -> str:
    """When each test ran, and how it ended."""
    ran = [each for each in tests if each.outcome != "not run"]
    if not ran:
        return ""
    first = min(each.began_s for each in ran)
    last = max(each.began_s + each.seconds for each in ran)
    span = max(0.1, last - first)
    rows = []
    for number, each in enumerate(ran):
        y = number * _ROW
        x = _LEFT + (WIDTH - _LEFT - 60) * (each.began_s - first) / span
        width = max(2.0, (WIDTH - _LEFT - 60) * each.seconds / span)
        name = escape(each.words[:_LONGEST] + ("…" if len(each.words) > _LONGEST else ""))
        rows.append(
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{name}</text>'
            f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="12" class="{each.outcome}"/>'
            f'<text x="{min(x + width + 4, WIDTH - 44):.1f}" y="{y + 13}" class="small">{each.seconds:.1f} s</text>'
        )
    return _svg(len(ran) * _ROW + 6, "When each test ran", "".join(rows))


def accuracy(found: Sequence[Accuracy]) -> str:
    """How far each sensor was from the truth, in parts of what is allowed."""
    rows = []
    middle, half = _NARROW / 2, _NARROW / 2 / 1.3 - 8
    for number, each in enumerate(found):
        y = number * _TALL + 14
        part = max(-1.3, min(1.3, (each.read - each.truth) / each.within)) if each.within else 0.0
        style = "passed" if each.right else "failed"
        label = escape(
            f"{each.place}, {each.field}: read {each.read:g}, true {each.truth:g}, allowed ± {each.within:g}"
        )
        rows.append(
            f'<text x="0" y="{y - 2}">{label}</text>'
            f'<line x1="{middle - half:.1f}" x2="{middle + half:.1f}" y1="{y + 9}" y2="{y + 9}" class="axis"/>'
            f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{y + 3}" y2="{y + 15}" class="axis"/>'
            f'<circle cx="{middle + half * part:.1f}" cy="{y + 9}" r="5" class="{style}"/>'
        )
    return _svg(len(found) * _TALL + 2, "Sensors against the truth", "".join(rows), _NARROW) if rows else ""


def radio(frames: Sequence[dict[str, Any]]) -> str:
    """Signal strength, signal to noise and spreading factor of the frames that a gateway heard."""
    heard = [each for each in frames if each.get("rssi_dbm") is not None]
    if not heard:
        return ""
    first, last = heard[0]["at_s"], heard[-1]["at_s"]
    keys = sorted({int(each.get("sf") or 7) for each in heard})
    legend = "".join(
        f'<circle cx="{_PAD + 300 + 58 * number}" cy="10" r="5" class="sf{sf}"/>'
        f'<text x="{_PAD + 310 + 58 * number}" y="14">SF{sf}</text>'
        for number, sf in enumerate(keys)
    )
    top, bottom = _RADIO_HEIGHT - 10 - (_RADIO_HEIGHT - 40), _RADIO_HEIGHT - 10
    parts = [
        f'<text x="{_PAD}" y="14">dots: RSSI in dBm; rings: SNR in dB</text>{legend}'
        f'<text x="0" y="{top + 4}" class="small">{_RSSI_DBM[1]:.0f} dBm</text>'
        f'<text x="0" y="{bottom}" class="small">{_RSSI_DBM[0]:.0f} dBm</text>'
        f'<text x="{WIDTH - 50}" y="{top + 4}" class="small">{_SNR_DB[1]:+.0f} dB</text>'
        f'<text x="{WIDTH - 50}" y="{bottom}" class="small">{_SNR_DB[0]:+.0f} dB</text>'
        f'<line x1="{_PAD}" x2="{WIDTH - _PAD}" y1="{bottom + 6}" y2="{bottom + 6}" class="axis"/>'
        f'<text x="{_PAD}" y="{bottom + 20}" class="small">{_clock(first)}</text>'
        f'<text x="{WIDTH - _PAD}" y="{bottom + 20}" text-anchor="end" class="small">{_clock(last)} UTC</text>'
    ]
    for each in heard:
        x = _PAD + (WIDTH - 2 * _PAD) * (each["at_s"] - first) / max(0.1, last - first)
        sf = f"sf{each.get('sf', 7)}"
        parts.append(f'<circle cx="{x:.1f}" cy="{_y(each["rssi_dbm"], *_RSSI_DBM):.1f}" r="3" class="{sf}"/>')
        if each.get("snr_db") is not None:
            ring = f'<circle cx="{x:.1f}" cy="{_y(each["snr_db"], *_SNR_DB):.1f}" r="3" class="{sf} ring"/>'
            parts.append(ring)
    return _svg(_RADIO_HEIGHT + 14, "Frames on the radio", "".join(parts))


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


def _y(value: float, low: float, high: float) -> float:
    part = max(0.0, min(1.0, (value - low) / (high - low)))
    return _RADIO_HEIGHT - 10 - (_RADIO_HEIGHT - 40) * part


def _svg(height: int, title: str, body: str, width: int = WIDTH) -> str:
    style = ' class="narrow"' if width < WIDTH else ""
    return (
        f'<svg{style} viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )
