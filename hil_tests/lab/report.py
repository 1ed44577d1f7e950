# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one page of a run: what passed, what failed and why, what was not run and why, with pictures. It needs no net."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from hil_tests.lab import pictures
from hil_tests.lab.capture import RADIO, Capture
from hil_tests.lab.results import FAILED, NOT_RUN, PASSED, Result, Results

_STYLE = """
:root{color-scheme:light dark;--ok:#1a7f4b;--bad:#c62828;--off:#6a6f77;--line:#8884;--ink:#16181c;--page:#fff;
--link:#0b57d0}
@media(prefers-color-scheme:dark){:root{--ok:#4cc38a;--bad:#ff6b6b;--off:#9aa0a8;--ink:#e8eaed;--page:#15171a;
--link:#8ab4f8}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:1000px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}a{color:var(--link)}
summary{font-size:1.1rem;font-weight:600;margin-top:2rem;cursor:pointer}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top;
border-bottom:1px solid var(--line)}
td{overflow-wrap:anywhere}.verdict{font-size:1.6rem;font-weight:600;margin:.2rem 0}.note{color:var(--off)}
.n{white-space:nowrap;text-align:right}.wide{overflow-x:auto}.wide svg{min-width:720px}
.wide svg.narrow{min-width:0;max-width:560px}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--ink)}svg .small{fill:var(--off)}
.passed{color:var(--ok);fill:var(--ok)}.failed{color:var(--bad);fill:var(--bad)}.not-run{color:var(--off)}
.axis{stroke:var(--line)}.sf7{fill:#1b9e77}.sf8{fill:#66a61e}.sf9{fill:#e6ab02}.sf10{fill:#d95f02}.sf11{fill:#e7298a}
.sf12{fill:#7570b3}.ring{fill:none;stroke:var(--off);stroke-opacity:.45}
""".replace("\n", "")

_AREAS = {
    "bench": "By the cable: from a blank board to one that reports, is updated and comes back from a bad update",
    "lorawan": "By radio: joins, windows, counters, MAC commands, class C, duty cycle, certification",
    "roles": "What the city receives of lights, bins and traffic sensors, faults too",
    "test_hil_lab": "The lab itself: its file, its hands, its report",
}


def write(folder: Path, results: Results, captures: Sequence[Capture]) -> Path:
    """Write report.html into a folder; return its path."""
    page = folder / "report.html"
    page.write_text(_page(results, captures), "utf-8")
    return page


def _page(results: Results, captures: Sequence[Capture]) -> str:
    began = datetime.fromtimestamp(results.began_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    by_outcome = {kind: [each for each in results.tests if each.outcome == kind] for kind in (FAILED, NOT_RUN, PASSED)}
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(results.lab)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(results.lab)}</h1>",
        _verdict(results),
        f'<p class="note">{began}, {_took(results.tests)}, rig <code>{escape(results.rig)}</code>. '
        'Machines read <a href="junit.xml">junit.xml</a>.</p>',
    ]
    parts += _table("What failed", by_outcome[FAILED], "Why")
    parts += _table("What was not run", by_outcome[NOT_RUN], "Why not")
    parts += _areas(results.tests)
    for capture in captures:
        parts += _board(results, capture)
    parts += _picture("Sensors against the truth", pictures.accuracy(results.accuracies))
    folded = [*_picture("", pictures.timeline(results.tests)), *_table("", by_outcome[PASSED], "")]
    parts += ["<details><summary>Every test: when it ran, and how long it took</summary>", *folded, "</details>"]
    return "".join(parts) + "</html>\n"


def _verdict(results: Results) -> str:
    failed, not_run = results.count(FAILED), results.count(NOT_RUN)
    passed, all_of_them = results.count(PASSED), len(results.tests)
    if failed:
        text, style = f"{failed} of {all_of_them} tests failed", "failed"
    elif not passed:
        text, style = "No test was run", "not-run"
    else:
        some = f"{passed} test passed" if passed == 1 else f"{passed} tests passed"
        text, style = f"All {some}" if passed > 1 and not not_run else some, "passed"
    why = "was not run, for the reason below" if not_run == 1 else "were not run, for the reasons below"
    rest = f'; <span class="not-run">{not_run} {why}</span>' if not_run else ""
    return f'<p class="verdict {style}">{text}{rest}</p>'


def _took(tests: Sequence[Result]) -> str:
    if not tests:
        return "no time"
    seconds = max(each.began_s + each.seconds for each in tests) - min(each.began_s for each in tests)
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _area(test: str) -> str:
    parts = test.partition("::")[0].split("/")
    return parts[1] if parts[0] == "hil_tests" and len(parts) > 2 else parts[-1].removesuffix(".py")


def _areas(tests: Sequence[Result]) -> list[str]:
    """What was looked at, a line for each part of the suite."""
    names = list(dict.fromkeys(_area(each.test) for each in tests))
    lines = ['<h2>What was tested</h2><table><tr><th>Part<th class="n">passed<th class="n">failed<th class="n">not run']
    for name in names:
        found = [each for each in tests if _area(each.test) == name]
        cells = "".join(
            f'<td class="n {kind.replace(" ", "-")}">{sum(each.outcome == kind for each in found) or ""}'
            for kind in (PASSED, FAILED, NOT_RUN)
        )
        lines.append(f"<tr><td>{escape(_AREAS.get(name, name.replace('_', ' ')))}{cells}")
    return [*lines, "</table>"] if names else []


def _table(title: str, rows: Sequence[Result], why: str) -> list[str]:
    if not rows:
        return []
    reason = f"<th>{why}" if why else ""
    heading = f"<h2>{title}</h2>" if title else ""
    lines = [f'{heading}<table><tr><th>Test<th>Board<th class="n">Took{reason}']
    for row in rows:
        last = f"<td>{escape(row.reason)}" if why else ""
        style = row.outcome.replace(" ", "-")
        lines.append(
            f'<tr><td><span class="{style}" title="{escape(row.test)}">{escape(row.words)}</span>'
            f'<td>{escape(row.place).replace("_", "_<wbr>")}<td class="n">{row.seconds:.1f} s{last}'
        )
    return [*lines, "</table>"]


def _picture(title: str, svg: str) -> list[str]:
    heading = f"<h2>{title}</h2>" if title else ""
    return [f'{heading}<div class="wide">{svg}</div>'] if svg else []


def _board(results: Results, capture: Capture) -> list[str]:
    name = capture.log.stem
    facts = results.facts.get(name, {})
    rows = "".join(f"<tr><th>{escape(key)}<td>{escape(str(value))}" for key, value in facts.items())
    by_type: dict[str, int] = {}
    for frame in capture.frames:
        by_type[frame["type"]] = by_type.get(frame["type"], 0) + 1
    if size := capture.log.stat().st_size:
        rows += f"<tr><th>what it said<td>{_link(capture.log)}, {size // 1000 + 1} KB"
    if by_type:
        counts = ", ".join(f"{count} {label}" for label, count in sorted(by_type.items(), key=lambda each: -each[1]))
        rows += f"<tr><th>its frames<td>{_link(capture.file)}: {escape(counts)}"
    title = "Frames heard by radio" if name == RADIO else f"Board {escape(name)}"
    picture = pictures.radio(capture.frames)
    return (
        [f"<h2>{title}</h2><table>{rows}</table>", f'<div class="wide">{picture}</div>' if picture else ""]
        if rows
        else []
    )


def _link(path: Path) -> str:
    return f'<a href="{escape(path.name)}">{escape(path.name)}</a>'
