# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The public pages as HTML: an index, and a page for each device, in Swedish or English. No script, nothing fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from provisioning.guidelines.texts import Language
from provisioning.reports.public_words import word

_SAID: Final = frozenset({"kind", "measures", "sensors", "personal_data", "position"})
"""Rows whose values are words of ours."""
_STYLE: Final = (
    ":root{color-scheme:light dark;--ink:#1d1d1b;--soft:#5c5a55;--line:#dcd9d0;--ground:#faf9f6;--link:#1a5a8a}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ecebe7;--soft:#a9a69d;--line:#3a3a36;--ground:#181917;--link:#8cc4ee}}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:var(--ink);"
    "background:var(--ground)}a{color:var(--link)}h2{margin-top:2rem;font-size:1.2rem}p.lead{color:var(--soft)}"
    "h2 small{font-weight:normal;color:var(--soft)}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.4rem 1rem .4rem 0;border-bottom:1px solid var(--line);"
    "overflow-wrap:anywhere}th{font-weight:600;overflow-wrap:normal}thead th{color:var(--soft)}tbody th{width:35%}"
)
_COLUMNS: Final = ("id", "where", "owner", "personal_data")


def index(city: str, found: Sequence[Mapping[str, Any]], language: Language) -> str:
    """All devices, kind by kind."""

    def kind(about: Mapping[str, Any]) -> str:
        return word(about["kind"], language)

    geojson = '<a href="devices.geojson">GeoJSON</a>'
    data = html.escape(word("as data", language)).format(geojson=geojson)
    parts = [
        f'<p class="lead">{html.escape(word("lead", language))}</p>',
        f"<p>{_count(len(found), language)}. {data}</p>",
    ]
    for name, same in groupby(sorted(found, key=lambda about: (kind(about), about["id"])), kind):
        rows = [_row(about, language) for about in same]
        head = "".join(f'<th scope="col">{html.escape(word(each, language))}</th>' for each in _COLUMNS)
        parts += [
            f"<h2>{html.escape(name)} <small>{_count(len(rows), language)}</small></h2>",
            f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table>",
        ]
    return _html(word("title", language).format(city=city), "\n".join(parts), language)


def _row(about: Mapping[str, Any], language: Language) -> str:
    where = about.get("address") or about.get("district") or word("no address", language)
    personal = word(about.get("personal_data", "not stated"), language)
    told = "".join(f"<td>{html.escape(str(each))}</td>" for each in (where, about.get("owner", ""), personal))
    return f'<tr><td><a href="device/{html.escape(about["id"])}.html">{html.escape(about["id"])}</a></td>{told}</tr>'


def _count(number: int, language: Language) -> str:
    return html.escape(word("count one" if number == 1 else "count", language).format(n=number))


def page(city: str, about: Mapping[str, Any], feedback: str, language: Language) -> str:
    """One device: what it is, who answers for it, what it measures, whether of people, and where to say one's mind."""
    rows = []
    for name, value in about.items():
        values = value if isinstance(value, list) else [value]
        told = ", ".join(word(str(each), language) if name in _SAID else str(each) for each in values)
        shown = _link(told) if name in {"more", "contact"} else html.escape(told)
        rows.append(f'<tr><th scope="row">{html.escape(word(name, language))}</th><td>{shown}</td></tr>')
    back = f'<a href="../index.html">{html.escape(word("all", language))}</a>'
    foot = f"<p>{html.escape(word('feedback', language))} {_link(feedback)}</p>\n<p>{back}</p>"
    title = word("device", language).format(id=about["id"], city=city)
    return _html(title, f"<table>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table>\n{foot}", language)


def _link(where: str) -> str:
    """An address as a link: of a page, or of a mailbox; other words as they are."""
    if re.fullmatch(r"https?://[^\s<>\"']+", where):
        return f'<a href="{html.escape(where)}">{html.escape(where)}</a>'
    if re.fullmatch(r"[^@\s<>\"':/?&]+@[^@\s<>\"':/?&]+", where):
        return f'<a href="mailto:{html.escape(where)}">{html.escape(where)}</a>'
    return html.escape(where)


def _html(title: str, body: str, language: Language) -> str:
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
