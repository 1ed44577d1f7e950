# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `lykta` says besides its results: the next command as it can be typed, and what is wrong with a file."""

from pathlib import Path

import pytest

from provisioning.cli import main

EUI = "70b3d57ed0001234"


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LYKTA_DEBUG", raising=False)
    assert main(["-C", str(tmp_path / "city"), "init", "--city", "Lyktby"]) == 0
    return tmp_path / "city"


def test_the_next_command_names_the_city_as_it_was_named(
    city: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["register", "--kind", "street_light", "--dev-eui", EUI]
    assert main(["-C", str(city), *words]) == 0
    assert f"; next: lykta -C {city} board make {EUI} IMAGE" in capsys.readouterr().err
    monkeypatch.setenv("LYKTA_HOME", str(city))
    assert main(words[:-2]) == 0
    assert "; next: lykta board make" in capsys.readouterr().err


def test_a_city_in_a_directory_of_that_name_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city = tmp_path / "srv" / "lykta"
    assert main(["-C", str(city), "init", "--city", "Lyktby"]) == 0
    assert f"\nnext: lykta -C {city} register --kind street_light\n" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named_and_no_traceback(
    city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(city), "register", "--kind", "street_light", "--dev-eui", EUI]) == 0
    assert main(["-C", str(city), "label", EUI, "--zpl", str(tmp_path / "nowhere" / "x.zpl")]) == 1
    said = capsys.readouterr().err
    for part in ("cannot be used: No such file", f"{tmp_path}/nowhere/x.zpl", "check the path"):
        assert part in said
