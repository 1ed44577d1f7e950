# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The public pages as HTML: an index, and a page for each device, in Swedish or English. No script, nothing fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from provisioning.guidelines.texts import Language

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "sv": {
        "title": "Uppkopplade enheter i {city}", "device": "{id} i {city}", "all": "Alla enheter",
        "count": "{n} enheter",
        "feedback": "Frågor och synpunkter:", "no address": "ingen adress", "rounded": "avrundat", "exact": "exakt",
        "none": "nej", "possible": "kan förekomma", "yes": "ja", "not stated": "inte angivet",
        "id": "Enhet", "kind": "Slag", "owner": "Ansvarig", "measures": "Mäter", "sensors": "Givare",
        "personal_data": "Personuppgifter", "purpose": "Syfte", "until": "Planerad till", "district": "Stadsdel",
        "address": "Adress", "position": "Läge på kartan", "more": "Mer information", "contact": "Kontakt",
        "streetlight_controller": "Gatubelysning", "waste_level": "Nivå i papperskorg",
        "traffic_counter": "Trafikräknare",
        "signal_detector": "Detektor vid trafiksignal", "ped_bike_counter": "Räknare för gående och cyklande",
        "air": "Luft", "noise": "Buller", "weather": "Väder", "water": "Vatten", "soil": "Mark",
        "parking": "Parkering", "gateway": "Mottagare", "other": "Annat",
    },
    "en": {
        "title": "Connected devices in {city}", "device": "{id} in {city}", "all": "All devices",
        "count": "{n} devices",
        "feedback": "Questions and opinions:", "none": "no", "id": "Device", "kind": "Kind", "owner": "Responsible",
        "measures": "Measures", "sensors": "Sensors", "personal_data": "Personal data", "purpose": "Purpose",
        "until": "Planned until", "district": "District", "address": "Address", "position": "Position on the map",
        "more": "More", "contact": "Contact", "streetlight_controller": "Street light", "waste_level": "Level of a bin",
        "traffic_counter": "Traffic counter", "signal_detector": "Detector of a traffic signal",
        "ped_bike_counter": "Counter of people on foot and bicycles", "air": "Air", "noise": "Noise",
        "weather": "Weather", "water": "Water", "soil": "Soil", "parking": "Parking", "gateway": "Receiver",
        "other": "Other",
    },
}  # fmt: skip
_SAID: Final = frozenset({"kind", "personal_data", "position"})
"""Rows whose values are words of ours."""
_STYLE: Final = (
    "body{font:1rem/1.5 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}"
    "th{text-align:left;vertical-align:top;padding-right:2rem}td{overflow-wrap:anywhere}"
)


def index(city: str, found: Sequence[Mapping[str, Any]], language: Language) -> str:
    """All devices, by id."""
    lines = []
    for about in found:
        where = about.get("address") or about.get("district") or _word("no address", language)
        text = f"{about['id']} – {_word(about['kind'], language)}, {where}"
        lines.append(f'<li><a href="device/{html.escape(about["id"])}.html">{html.escape(text)}</a></li>')
    count = html.escape(_word("count", language).format(n=len(found)))
    head = f'<p>{count} · <a href="devices.geojson">GeoJSON</a></p>'
    return _html(_word("title", language).format(city=city), f"{head}\n<ul>\n{chr(10).join(lines)}\n</ul>", language)


def page(city: str, about: Mapping[str, Any], feedback: str, language: Language) -> str:
    """One device: what it is, who answers for it, what it measures, whether of people, and where to say one's mind."""
    rows = []
    for name, value in about.items():
        values = value if isinstance(value, list) else [value]
        told = ", ".join(_word(str(each), language) if name in _SAID else str(each) for each in values)
        shown = _link(told) if name in {"more", "contact"} else html.escape(told)
        rows.append(f"<tr><th>{html.escape(_word(name, language))}</th><td>{shown}</td></tr>")
    back = f'<a href="../index.html">{html.escape(_word("all", language))}</a>'
    foot = f"<p>{html.escape(_word('feedback', language))} {_link(feedback)}</p>\n<p>{back}</p>"
    title = _word("device", language).format(id=about["id"], city=city)
    return _html(title, f"<table>\n{chr(10).join(rows)}\n</table>\n{foot}", language)


def _word(name: str, language: Language) -> str:
    return _WORDS[language].get(name, name)


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
