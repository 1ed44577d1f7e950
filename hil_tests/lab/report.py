# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one page of a run: what passed, what failed and why, what was not run and why, with pictures. It needs no net."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from hil_tests.lab import pictures
from hil_tests.lab.capture import Capture
from hil_tests.lab.results import FAILED, NOT_RUN, PASSED, Result, Results

_STYLE = """
:root{color-scheme:light dark;--ok:#1a7f4b;--bad:#c62828;--off:#7a7f87;--line:#8884;--ink:#16181c;--page:#fff}
@media(prefers-color-scheme:dark){:root{--ok:#4cc38a;--bad:#ff6b6b;--off:#9aa0a8;--ink:#e8eaed;--page:#15171a}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:1000px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top;
border-bottom:1px solid var(--line)}
td{overflow-wrap:anywhere}.counts b{font-size:1.6rem;margin-right:.3rem}.counts span{margin-right:2rem}
.w{white-space:nowrap}svg{width:100%;height:auto}svg text{font-size:11px;fill:var(--ink)}svg .small{fill:var(--off)}
.passed{color:var(--ok);fill:var(--ok)}.failed{color:var(--bad);fill:var(--bad)}.not-run{color:var(--off)}
.axis{stroke:var(--line)}.sf7{fill:#1b9e77}.sf8{fill:#66a61e}.sf9{fill:#e6ab02}.sf10{fill:#d95f02}.sf11{fill:#e7298a}
.sf12{fill:#7570b3}.ring{fill:none;stroke:currentColor;stroke-opacity:.5}
""".replace("\n", "")


def write(folder: Path, results: Results, captures: Sequence[Capture]) -> Path:
    """Write report.html into a folder; return its path."""
    page = folder / "report.html"
    page.write_text(_page(results, captures), "utf-8")
    return page


def _page(results: Results, captures: Sequence[Capture]) -> str:
    began = datetime.fromtimestamp(results.began_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    counts = "".join(
        f'<span class="{outcome.replace(" ", "-")}"><b>{results.count(outcome)}</b>{outcome}</span>'
        for outcome in (PASSED, FAILED, NOT_RUN)
    )
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(results.lab)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(results.lab)}</h1><p>{began}, rig <code>{escape(results.rig)}</code></p>",
        f'<p class="counts">{counts}</p>',
    ]
    failed = [each for each in results.tests if each.outcome == FAILED]
    not_run = [each for each in results.tests if each.outcome == NOT_RUN]
    parts += _table("What failed", failed, "Why")
    parts += _table("What was not run", not_run, "Why not")
    parts += _picture("When each test ran", pictures.timeline(results.tests))
    parts += _picture("Sensors against the truth", pictures.accuracy(results.accuracies))
    for capture in captures:
        parts += _board(results, capture)
    parts += _table("What passed", [each for each in results.tests if each.outcome == PASSED], "")
    return "".join(parts) + "</html>\n"


def _table(title: str, rows: Sequence[Result], why: str) -> list[str]:
    if not rows:
        return []
    reason = f"<th>{why}" if why else ""
    lines = [f"<h2>{title}</h2><table><tr><th>Test<th>Board<th>Took{reason}"]
    for row in rows:
        last = f"<td>{escape(row.reason)}" if why else ""
        lines.append(
            f'<tr><td class="{row.outcome.replace(" ", "-")}">{escape(row.test)}'
            f'<td>{escape(row.place)}<td class="w">{row.seconds:.1f} s{last}'
        )
    return [*lines, "</table>"]


def _picture(title: str, svg: str) -> list[str]:
    return [f"<h2>{title}</h2>{svg}"] if svg else []


def _board(results: Results, capture: Capture) -> list[str]:
    name = capture.log.stem
    facts = results.facts.get(name, {})
    rows = "".join(f"<tr><th>{escape(key)}<td>{escape(str(value))}" for key, value in facts.items())
    by_type: dict[str, int] = {}
    for frame in capture.frames:
        label = f"{frame['link']}, {frame['type']}"
        by_type[label] = by_type.get(label, 0) + 1
    counts = "; ".join(f"{count} × {label}" for label, count in sorted(by_type.items())) or "none"
    files = (
        f'<tr><th>console<td><a href="{escape(capture.log.name)}">{escape(capture.log.name)}</a>, '
        f"{capture.log.stat().st_size} bytes"
        f'<tr><th>frames<td><a href="{escape(capture.file.name)}">{escape(capture.file.name)}</a>: {escape(counts)}'
    )
    return [f"<h2>Board {escape(name)}</h2><table>{rows}{files}</table>", pictures.radio(capture.frames)]
