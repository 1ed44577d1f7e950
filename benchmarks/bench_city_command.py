# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""One signed command for 1,000 street lights of class C on LoRa, frame by frame in simulated time, as a picture.

Prints one JSON object: for one and for three gateways, after how many seconds half, 90 % and 99 % of the lamps had
obeyed and had said so, and the share of the law's hour of 869.4-869.65 MHz that the busiest gateway had used then.
LAMPS, SEED and GATEWAYS (`1,3`) are taken from the environment. ``--pictures FOLDER`` draws each.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.lamp_city import Night, Scene, simulate  # noqa: E402

LAMPS = int(os.environ.get("LAMPS", "1000"))
SEED = int(os.environ.get("SEED", "1"))
SHARES = (50, 90, 99)
COLOURS = {1: "#2f6f8f", 3: "#b3552d"}
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 380, 60, 40, 20, 50


def after_s(moments: list[float], share: int) -> float | None:
    """Return when that share of all lamps was there; None when it never was."""
    wanted = -(-LAMPS * share // 100)
    return round(moments[wanted - 1], 1) if len(moments) >= wanted else None


def figures(night: Night) -> dict[str, Any]:
    """Return what is kept of a simulated night."""
    return {
        "gateways": night.scene.gateways,
        "ended": night.ended,
        "obeyed_after_s": {f"{share}%": after_s(night.obeyed_s, share) for share in SHARES},
        "known_after_s": {f"{share}%": after_s(night.done_s, share) for share in SHARES},
        "frames_of_the_command": night.commands_sent,
        "most_of_the_hour_used": round(max(used for _, used in night.airtime_s), 3),
        "duty_cycle_violations": night.violations,
        "readings_meanwhile": night.readings,
    }


def picture(nights: list[Night]) -> str:
    """Return the SVG: how many lamps had obeyed (line) and had said so (dashes), and the airtime used (thin)."""
    end_s = max(60.0, *(night.obeyed_s[-1] for night in nights), *(night.done_s[-1] for night in nights))
    plot_w, plot_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(moment_s: float, share: float) -> str:
        return f"{LEFT + plot_w * min(moment_s, end_s) / end_s:.1f},{TOP + plot_h * (1 - share):.1f}"

    def line(points: list[tuple[float, float]], colour: str, style: str) -> str:
        drawn = " ".join(at(*point) for point in points)
        return f'<polyline points="{drawn}" fill="none" stroke="{colour}" {style}/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">One command for {LAMPS} lamps of class C '
        "(EU868, 869.525 MHz, duty cycle 10 %)</text>",
    ]
    for percent in range(0, 101, 25):
        _, y = at(0, percent / 100).split(",")
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end" dominant-baseline="middle">{percent} %</text>')
    step_s = next(step for step in (10, 30, 60, 120, 300, 600, 1200) if end_s / step <= 12)
    for moment_s in range(0, int(end_s) + 1, step_s):
        x, y = at(moment_s, 0).split(",")
        parts.append(f'<text x="{x}" y="{float(y) + 18}" text-anchor="middle">{moment_s / 60:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end">minutes after the command</text>')
    for row, night in enumerate(nights):
        colour = COLOURS.get(night.scene.gateways, "#555555")
        parts.append(line(_steps(night.obeyed_s), colour, 'stroke-width="2"'))
        parts.append(line(_steps(night.done_s), colour, 'stroke-width="2" stroke-dasharray="6 4"'))
        parts.append(line(night.airtime_s, colour, 'stroke-width="1" stroke-opacity="0.6"'))
        name = f"{night.scene.gateways} gateway" + ("s" if night.scene.gateways > 1 else "")
        words = f"{name}: obeyed (line), known (dashes), airtime of the busiest hour (thin)"
        y_text = TOP + plot_h - 32 + 16 * row
        parts.append(f'<text x="{WIDTH - RIGHT - 8}" y="{y_text}" text-anchor="end" fill="{colour}">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _steps(moments: list[float]) -> list[tuple[float, float]]:
    every = max(1, LAMPS // 200)
    return [(0.0, 0.0)] + [
        (moment_s, (number + 1) / LAMPS)
        for number, moment_s in enumerate(moments)
        if number % every == 0 or number + 1 == len(moments)
    ]


def main() -> None:
    """Simulate, print, draw."""
    nights = []
    for gateways in map(int, os.environ.get("GATEWAYS", "1,3").split(",")):
        with tempfile.TemporaryDirectory() as folder:
            nights.append(simulate(Path(folder) / "night", Scene(lamps=LAMPS, gateways=gateways, seed=SEED)))
    print(json.dumps({"lamps": LAMPS, "seed": SEED, "nights": [figures(each) for each in nights]}, indent=2))
    if "--pictures" in sys.argv:
        folder = Path(sys.argv[sys.argv.index("--pictures") + 1])
        for each in nights:
            (folder / f"city_command_{each.scene.gateways}.svg").write_text(picture([each]))


if __name__ == "__main__":
    main()
