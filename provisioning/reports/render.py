# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The yearly report as Markdown, CSV, JSON and a workbook."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from provisioning.errors import NotInstalled
from provisioning.reports.figures import LEVELS, Cell, Figure
from provisioning.reports.kpi import Part, Report

COLUMNS = [
    "scope",
    "figure",
    "title",
    "name",
    "value",
    "of",
    "percent",
    "unit",
    "source",
    "ask",
    "query_sha256",
    "revision",
]
_SLOTS = ("Analysis", "Conclusions", "Plan")
"""The strategy's method has four steps; the first one is done here, the others are the reader's."""


def rows(report: Report) -> Iterator[list[Any]]:
    """The report as rows under COLUMNS; what is not known is None."""
    for part in report.parts:
        for figure in part.figures:
            for cell in figure.cells:
                yield _row(part.name, figure.id, figure.title, cell, figure.query_sha256, report.revision)
    for cell in report.elsewhere:
        yield _row(report.city, "", "Not from the register", cell, "", report.revision)


def _row(scope: str, figure: str, title: str, cell: Cell, query: str, revision: int) -> list[Any]:
    numbers = [cell.value, cell.of, cell.percent]
    return [scope, figure, title, cell.name, *numbers, cell.unit, cell.source, cell.ask, query, revision]


def as_csv(report: Report) -> str:
    """One row a number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(["" if value is None else value for value in row] for row in rows(report))
    return out.getvalue()


def as_json(report: Report) -> str:
    """Everything, with the breakdowns."""
    values = asdict(report)
    values["made_at"] = report.made_at.isoformat()
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def as_markdown(report: Report) -> str:
    """For reading, with room for what people add."""
    lines = [
        f"# {report.city}: connected devices {report.year}",
        "",
        f"Made {report.made_at:%Y-%m-%d %H:%M} UTC from revision {report.revision} of the register, "
        f"judged by rule pack {report.rulepack}.",
        "Empty cells are not known here; the last column says who could tell.",
        "",
        "## Data collection",
    ]
    for part in report.parts:
        lines += ["", f"### {part.name}", *_table(part)]
    lines += ["", "### Not from the register", "", "| measure | value | ask |", "| --- | ---: | --- |"]
    lines += [f"| {_escaped(cell.name)} |  | {_escaped(cell.ask)} |" for cell in report.elsewhere]
    for slot in _SLOTS:
        lines += ["", f"## {slot}", "", "…"]
    return "\n".join(lines) + "\n"


def _table(part: Part) -> Iterator[str]:
    yield from (
        "",
        "| | figure | value | of | % | unit | source, or who could tell |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
    )
    for level in LEVELS:
        yield f"| **{level.capitalize()}** | | | | | | |"
        yield from _lines(figure for figure in part.figures if figure.level == level)


def _lines(figures: Iterable[Figure]) -> Iterator[str]:
    for figure in figures:
        for number, cell in enumerate(figure.cells):
            label = f"{figure.id} {figure.title}" if number == 0 else ""
            numbers = " | ".join(_number(value) for value in (cell.value, cell.of, cell.percent))
            who = _escaped(cell.source or f"ask: {cell.ask}")
            yield f"| {label} | {_escaped(cell.name)} | {numbers} | {cell.unit} | {who} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}".removesuffix(".0").replace(",", " ")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def write_workbook(report: Report, path: Path) -> None:
    """An Excel workbook with a sheet for each scope. Raises NotInstalled without openpyxl."""
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
    except ImportError as error:
        raise not_installed("A workbook", "openpyxl") from error
    book = Workbook()
    book.remove(book.active)
    for number, part in enumerate(report.parts):
        sheet = book.create_sheet(_sheet_name(part.name, number))
        sheet.append(COLUMNS)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for figure in part.figures:
            for each in figure.cells:
                sheet.append(_row(part.name, figure.id, figure.title, each, figure.query_sha256, report.revision))
        # Text is text, whatever it begins with: a name is no formula.
        for row in sheet.iter_rows(min_row=2):
            for cell in row:
                if isinstance(cell.value, str):
                    cell.data_type = "s"
        sheet.freeze_panes = "A2"
    book.save(path)


def _sheet_name(name: str, number: int) -> str:
    clean = "".join(letter for letter in name if letter not in "[]:*?/\\'")
    return f"{number} {clean}"[:31]


def not_installed(what: str, package: str) -> NotInstalled:
    """What a command says that needs the extra set."""
    return NotInstalled(
        f"{what} needs the package {package}, which is not installed.",
        reason="It is large, and most people do not need it.",
        next_step="make extra",
    )


def main_figures(part: Part) -> list[Figure]:
    """Those that a picture can show: with a breakdown of at least one number."""
    return [figure for figure in part.figures if figure.details]
