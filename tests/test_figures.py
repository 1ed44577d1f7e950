# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""README's figures are those of docs/figures.md: each row of its table leads to where they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIGURES = (ROOT / "docs" / "figures.md").read_text("utf-8")
_NUMBER = re.compile(r"\d+(?: \d{3})*(?:\.\d+)?")
_LINK = re.compile(r"\]\(([^)]*)\)")


def rows_of_the_readme() -> list[list[str]]:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Figures\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    assert rows[0][1].strip() == "figure" and set(rows[1][1].strip()) == {"-"}
    return rows[2:]


def numbers(text: str) -> set[str]:
    return set(_NUMBER.findall(_LINK.sub("]", text)))


def places(anchor: str) -> list[str]:
    """The table's rows, or the paragraphs, that have this anchor."""
    blocks = [block for part in FIGURES.split("\n\n") for block in (part.splitlines() if part[0] == "|" else [part])]
    return [block for block in blocks if f'<a id="{anchor}"></a>' in block]


def test_the_readme_shows_some_figures() -> None:
    assert 8 <= len(rows_of_the_readme()) <= 12


@pytest.mark.parametrize("row", rows_of_the_readme(), ids=lambda row: re.sub(r"\W+", "-", row[0])[1:24])
def test_a_figure_of_the_readme_is_that_of_the_page(row: list[str]) -> None:
    what, figure, _ = row
    anchors = [target.removeprefix("docs/figures.md#") for target in _LINK.findall(what + figure)]
    assert anchors, "no link to docs/figures.md#..., where its figures stand"
    found: set[str] = set()
    for anchor in anchors:
        there = places(anchor)
        assert len(there) == 1, f"docs/figures.md has {len(there)} rows with the anchor {anchor}"
        found |= numbers(there[0])
    assert numbers(figure)
    assert numbers(figure) - found == set(), "stand in README's row and not where it leads to"
