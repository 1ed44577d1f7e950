# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Builds that are kept: the same sources give the same, changed ones never what was kept; damage costs time only."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boards import kept
from boards.texts import Texts

SOURCES = (("firmware.a", "A = 'å'\n"), ("firmware.b", "B = 1\n"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LYKTA_BUILDS", str(tmp_path / "builds"))
    return tmp_path / "builds"


def maker(made: list[int], text: str = "one\ntvå\n") -> Callable[[], Texts]:
    def make() -> Texts:
        made.append(1)
        return Texts(dict(SOURCES), text.encode())

    return make


def test_what_was_made_once_is_read_again(folder: Path) -> None:
    made: list[int] = []
    first = kept.texts(SOURCES, True, maker(made))
    again = kept.texts(SOURCES, True, maker(made))
    assert (again, len(made)) == (first, 1)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("sources", "short_names"),
    [(SOURCES, False), (SOURCES[:1], True), ((("firmware.a", "A = 'ä'\n"), SOURCES[1]), True), (SOURCES[::-1], True)],
)
def test_anything_else_is_made_anew(sources: kept.Sources, short_names: bool) -> None:
    made: list[int] = []
    kept.texts(SOURCES, True, maker(made))
    kept.texts(sources, short_names, maker(made))
    assert len(made) == 2


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 200])
def test_a_damaged_file_is_made_anew(folder: Path, damage: bytes) -> None:
    made: list[int] = []
    first = kept.texts(SOURCES, True, maker(made))
    (path,) = folder.iterdir()
    for content in (damage, path.read_bytes()[:-1], path.read_bytes().replace(b"B = 1", b"B = 2")):
        path.write_bytes(content)
        assert kept.texts(SOURCES, True, maker(made)) == first
    assert len(made) == 4


def test_a_folder_that_takes_nothing_costs_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LYKTA_BUILDS", str(tmp_path / "file"))
    made: list[int] = []
    for _ in range(2):
        assert kept.texts(SOURCES, True, maker(made)).sources == dict(SOURCES)
    assert len(made) == 2


def test_few_are_kept(folder: Path) -> None:
    for number in range(kept.MAX_KEPT + 3):
        kept.texts((("firmware.a", f"A = {number}\n"),), True, maker([]))
    assert len(list(folder.iterdir())) == kept.MAX_KEPT
