# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Golden case 20 as a whole: what is judged without the register, what only it does; and how a device ends."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provisioning.city import create_city
from provisioning.cli import main
from provisioning.guidelines import city_pack, signed_pack
from provisioning.guidelines.pack import proposed_text
from provisioning.model.organisations import Organisation
from provisioning.model.platforms import Platform
from provisioning.register import papers
from tests.guideline_rig import ORGANISATIONS, PLATFORMS, record
from tests.register_rig import person

TODAY = datetime.now(UTC).date()
Lykta = Callable[..., str]
FRESH = {"/streams/0/klassa/date": TODAY.isoformat(), "/identity/dev_eui": "70b3d57ed0000001", "/id": None}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A city with a signed pack, whose records break no rule."""
    made = create_city(tmp_path / "city", "Lyktby")
    slk = person("slk-1", "slk")
    with made.registry() as registry, registry.change() as change:
        for name, kind in ORGANISATIONS.items():
            papers.put(change, Organisation.model_validate({"id": name, "name": name, "kind": kind}))
        for each in PLATFORMS:
            papers.put(change, Platform.model_validate_json(json.dumps(each)))
        papers.put(change, slk.holder)
    pack = tmp_path / "pack.cose"
    pack.write_bytes(signed_pack.sign(proposed_text(), slk.key, "slk-1", datetime.now(UTC)))
    with made.registry() as registry, registry.stock() as stock:
        city_pack.install(made.home, pack, stock)
    return made.home


@pytest.fixture
def lykta(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lykta:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def run(*arguments: str | Path, code: int = 0) -> str:
        found = main(["-C", str(home), *map(str, arguments)])
        told = capsys.readouterr()
        assert found == code, told.out + told.err
        return told.out + told.err

    return run


def _file(folder: Path, number: int = 1) -> Path:
    """A record that breaks no rule, in a file."""
    values = record("bin", {**FRESH, "/name": f"bin {number}", "/identity/dev_eui": f"70b3d57ed{number:07x}"})
    values["location"]["lat"] += number / 10
    values["asset"]["id"] = f"KORG-{number}"
    values.pop("batch", None)
    file = folder / f"bin-{number}.jsonl"
    file.write_text(json.dumps(values) + "\n", encoding="utf-8")
    return file


def test_offline_a_cache_of_eight_days_judges_and_the_register_refuses(
    home: Path, tmp_path: Path, lykta: Lykta
) -> None:
    cache = tmp_path / "cache.json"
    lykta("snapshot", cache)
    old = json.loads(cache.read_text())
    old["as_of"] = (datetime.now(UTC) - timedelta(days=8)).isoformat()
    cache.write_text(json.dumps(old))
    first = _file(tmp_path)
    lykta("import", _file(tmp_path, 2))  # meanwhile, in the office

    register = home / "register.db"
    away = register.rename(tmp_path / "register.away")  # no network
    told = lykta("check", first, "--snapshot", cache)
    assert "8 days old" in told
    assert f"revision {old['revision']}" in told
    assert "no register here" in lykta("import", first, code=1)
    assert not register.exists()
    away.rename(register)  # back at the office

    told = lykta("import", first, "--revision", old["revision"], code=1)
    assert "has changed since you looked at it" in told
    record_toml = tmp_path / "one.toml"
    record_toml.write_text('kind = "waste_level"\n')
    assert "has changed" in lykta("register", record_toml, "--revision", old["revision"], code=1)
    assert len(json.loads(lykta("list", "--json"))) == 1
    now = json.loads(lykta("check", first, "-o", "json"))["register"]["revision"]
    assert f"--revision {now}" in told
    lykta("import", first, "--revision", now)
    assert len(json.loads(lykta("list", "--json"))) == 2


def test_without_its_server_the_register_says_what_goes_on_without_it(home: Path, tmp_path: Path, lykta: Lykta) -> None:
    config = home / "lykta.toml"
    text = config.read_text()
    assert '"sqlite:///register.db"' in text
    config.write_text(text.replace('"sqlite:///register.db"', '"postgresql://lykta@127.0.0.1:1/register"'))
    told = lykta("import", _file(tmp_path), code=1)
    assert "The register cannot be used" in told
    assert "lykta check RECORD --snapshot FILE judges without" in told


def test_a_device_is_disposed_of_when_all_is_done_and_nothing_that_was_done_is_forgotten(
    tmp_path: Path, lykta: Lykta
) -> None:
    lykta("import", _file(tmp_path))
    (device,) = json.loads(lykta("list", "--json"))
    name = device["id"]
    assert "Only of a retired device" in lykta("dispose", name, "--wiped", code=1)
    lykta("retire", name, "--by", "Anna A.")
    told = lykta("dispose", name, "--wiped", "--taken-down", "2026-11-20", "--photo", "FOTO-1", code=1)
    assert "become disposed" in told
    assert "its streams are not closed" in told
    assert "its keys are not revoked" not in told
    assert f"lykta dispose {name}" in told
    held = json.loads(lykta("show", name, "--json"))["lifecycle"]
    assert held["stage"] == "retired"
    assert (held["retired"]["taken_down"], held["retired"]["photo_ref"]) == ("2026-11-20", "FOTO-1")
    assert "cannot be written down" in lykta("dispose", name, "--waste", "not a reference!", code=1)
    lykta("dispose", name, "--taken-down", "yesterday", code=64)
    lykta("dispose", name, "--streams-closed", "--waste", "KVITTO-7")
    held = json.loads(lykta("show", name, "--json"))["lifecycle"]
    assert held["stage"] == "disposed"
    assert held["retired"]["by"] == "Anna A."
    assert held["retired"]["keys_revoked"] is True
    told = lykta("log", "show", name, "--json")
    assert [each["action"] for each in json.loads(told)] == [
        "device.register",
        "device.retired",
        "device.retirement",
        "device.refused",
        "device.retirement",
        "device.disposed",
    ]
    assert "cannot become disposed" in lykta("stage", name, "disposed", code=1)
    lykta("log", "verify")
