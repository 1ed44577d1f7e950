# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What `lykta` says besides its results: the next command as it can be typed, and what is wrong with a file."""

from pathlib import Path

import pytest

from provisioning.city import City
from provisioning.cli import main
from provisioning.register import desk
from provisioning.register.registration import Options
from tests.register_rig import record

EUI = "70b3d57ed0001234"
OTHER = "70b3d57ed0009999"


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


def test_a_label_is_of_a_device_by_name_id_or_dev_eui(city: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lykta = ["-C", str(city)]
    assert main([*lykta, "register", "--kind", "street_light", "--dev-eui", EUI, "--name", "Kungsgatan 1"]) == 0
    assert main([*lykta, "register", "--kind", "street_light", "--dev-eui", OTHER, "--name", EUI]) == 0
    with City.open(city).registry() as registry:
        device_id, other_id = (desk.show(registry, what).id or "" for what in ("Kungsgatan 1", OTHER))
        unheard = record(1, identity={"serial": "A-77"}, credentials={"kind": "x509"}, name="silent")
        silent = desk.register_one(registry, unheard, Options(None)).record
    capsys.readouterr()
    for what in ("Kungsgatan 1", device_id, device_id.lower(), "70-B3-D5-7E-D0-00-99-99"):
        assert main([*lykta, "label", what]) == 0
        code = OTHER if "-99" in what else EUI
        assert f":{code.upper()}:" in capsys.readouterr().out
    refused = {
        "Kungsgatan 2": ["No device with this id, DevEUI or name", "found: Kungsgatan 2", "lykta list shows"],
        EUI: ["Several devices", f"{device_id}, {EUI}, Kungsgatan 1 or {other_id}, {OTHER}, {EUI}"],
        "silent": ["has no DevEUI", "speaks no LoRaWAN frames", f"show {silent.id if silent else ''}"],
    }
    for what, parts in refused.items():
        assert main([*lykta, "label", "Kungsgatan 1", what]) == 1
        said = capsys.readouterr()
        assert said.out == "", "none is printed where one is not known"
        assert all(part in " ".join(said.err.split()) for part in parts), said.err


def test_a_device_that_is_meant_twice_is_not_retired(city: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lykta = ["-C", str(city)]
    for number, name in ((EUI, "Kungsgatan 1"), (OTHER, EUI)):
        assert main([*lykta, "register", "--kind", "street_light", "--dev-eui", number, "--name", name]) == 0
    capsys.readouterr()
    for words in (["retire", EUI], ["show", EUI]):
        assert main([*lykta, *words]) == 1
        assert "Several devices of the register are meant by this" in capsys.readouterr().err
    with City.open(city).registry() as registry:
        assert {line.stage for line in desk.listed(registry)} == {"approved"}


def test_a_board_is_made_for_a_device_by_name(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(city), "register", "--kind", "street_light", "--dev-eui", EUI, "--name", "lamp-1"]) == 0
    assert main(["-C", str(city), "board", "make", "lamp-1", str(tmp_path / "lamp-1.img")]) == 0
    assert "holds the key of lamp-1" in capsys.readouterr().err
    assert main(["-C", str(city), "board", "make", "lamp-2", str(tmp_path / "lamp-2.img")]) == 1
    assert "found: lamp-2" in capsys.readouterr().err
    assert not (tmp_path / "lamp-2.img").exists()
