# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A picture for each figure that has a breakdown, as SVG or PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from provisioning.reports.figures import Figure
from provisioning.reports.kpi import Report
from provisioning.reports.render import main_figures, not_installed


def draw(report: Report, folder: Path, form: Literal["svg", "png"] = "svg") -> list[Path]:
    """Draw the city's figures into a folder; return the files. Raises NotInstalled without matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise not_installed("A picture", "matplotlib") from error
    matplotlib.use("agg")
    # Texts stay texts, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lykta", "font.size": 10})
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for figure in main_figures(report.parts[0]):
        path = folder / f"{figure.id}.{form}"
        _draw_one(figure, f"{report.city} {report.year}", path)
        made.append(path)
    return made


def _draw_one(figure: Figure, title: str, path: Path) -> None:
    from matplotlib.figure import Figure as Picture
    from matplotlib.ticker import MaxNLocator

    names, values = list(figure.details), list(figure.details.values())
    picture = Picture(figsize=(8, 1.4 + 0.35 * len(names)), layout="constrained")
    axes = picture.add_subplot()
    bars = axes.barh([name[:40] for name in names], values, color="#2f6f8f")
    axes.bar_label(bars, labels=[shown(value) for value in values], padding=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=all(value == round(value) for value in values)))
    axes.set_xlabel(figure.unit)
    axes.invert_yaxis()
    axes.set_title(f"{figure.id} {figure.title} – {title}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    picture.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})


def shown(value: float) -> str:
    """A number at its bar: whole ones as they are, small parts not as zero."""
    text = f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.3g}"
    return text.replace(",", " ")
