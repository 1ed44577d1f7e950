# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""`lykta-gateway commands`: what waits, who has it, how it ended; beside an office that goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.commands import listing
from gateway.errors import StoreUnavailable
from tests.commands_rig import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    folder = made.radio.city.folder
    (folder / "state").symlink_to(folder)
    made.radio.city.config("unused", 1)
    yield made
    made.close()


def listed(office: Office, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    config = office.radio.city.folder / "gateway.toml"
    assert main(["commands", "--config", str(config), *options]) == 0
    return capsys.readouterr().out


def as_json(office: Office, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    return json.loads(listed(office, capsys, "--json", *options))


def test_a_command_is_followed_from_the_queue_to_its_end(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert as_json(office, capsys) == []
    assert "no command was taken" in listed(office, capsys)
    first, second = office.device(1), office.device(2)
    command = office.command(first.dev_eui, second.dev_eui)
    office.take(command)

    def states() -> list[str]:
        return [device["state"] for device in as_json(office, capsys)[0]["devices"]]

    assert states() == ["waiting", "waiting"]
    item = office.sent(first)
    assert item is not None
    assert states() == ["asked", "waiting"]
    office.done(first, item)
    assert states() == ["done", "waiting"]
    (found,) = as_json(office, capsys)
    assert (found["commander"], found["id"], found["verb"]) == ("room", command.command_id.hex(), "dim")
    assert found["platform"] == "city"
    assert not found["over"]


def test_how_it_ended_is_said_and_only_what_is_open_on_request(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    device = office.device()
    office.take(office.command(device.dev_eui))
    item = office.sent(device)
    assert item is not None
    office.done(device, item)
    text = listed(office, capsys)
    assert "room/" in text
    assert "over: 1 done" in text
    assert "no command is open" in listed(office, capsys, "--open")
    office.radio.clock.sleep(5)
    office.take(office.command(device.dev_eui, verb="restart", arguments={}))
    (still,) = as_json(office, capsys, "--open")
    assert (still["verb"], still["devices"][0]["asked_again"]) == ("restart", 0)
    assert "and 1 older" in listed(office, capsys, "--last", "1")


def test_without_a_file_it_says_that_nothing_ran_yet(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="has not run yet"):
        listing.read(tmp_path / "sessions.db")
    (tmp_path / "sessions.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        listing.read(tmp_path / "sessions.db")
