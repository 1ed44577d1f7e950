# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which boards have room for a release from afar, as files and `lykta update sign` tell."""

import os
import subprocess
from pathlib import Path

import pytest

from boards.schema import load_board
from firmware.node import update_stage
from provisioning.bench import slot_file
from provisioning.bench.package import Package, Purpose, package_for
from provisioning.city import create_city
from provisioning.cli import main
from provisioning.updates import keys
from provisioning.updates import room as told
from provisioning.updates.room import Room, room

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parent.parent
DELTA_BYTES = 20_000
REMARK = "no room for a release"


def lora(name: str, kind: str) -> Package:
    return package_for(name, Purpose(kind, frozenset({"serial", "lora"})))


@pytest.mark.parametrize("name", ["heltec_v3", "lilygo_t3s3", "pico_w_waveshare"])
def test_a_boards_file_says_when_no_release_fits(name: str) -> None:
    board = load_board(name)
    assert board.facts is not None
    found = {kind: room(board, lora(name, kind), DELTA_BYTES) for kind, fit in board.facts.roles if fit == "heap"}
    assert any(REMARK in each for each in board.facts.remarks) == any(not each.fits for each in found.values()), found


@pytest.mark.parametrize(("name", "links"), [("virtual", {"serial", "lora"}), ("pico_w_waveshare", {"serial"})])
def test_what_is_told_is_what_littlefs_leaves(tmp_path: Path, micropython: Path, name: str, links: set[str]) -> None:
    package = package_for(name, Purpose("street_light", frozenset(links)))
    slot = tmp_path / "slot"
    (tmp_path / "slot.lyk").write_bytes(package.slot_file)
    for path, data in {**package.content, "manifest": package.manifest}.items():
        target = slot / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    board = load_board(name)
    blocks = board.flash.bytes // board.flash.block_bytes
    script = [ROOT / "tests/upy/update_room.py", slot, blocks, board.flash.block_bytes]
    command = [str(micropython), "-X", "heapsize=8m", *map(str, script)]
    env = {**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    beside_one, beside_both = map(int, done.stdout.split())
    found = room(board, package, DELTA_BYTES)
    assert abs(beside_both - found.left) <= 6, (found, done.stdout)
    assert abs(beside_one - beside_both - found.file) <= 2, (found, done.stdout)


def test_host_and_board_count_alike() -> None:
    assert (told.SMALL, told.NAME_BYTES) == (update_stage.SMALL, update_stage.NAME_BYTES)
    assert (slot_file.MAGIC, slot_file.SUFFIX) == (update_stage.MAGIC, update_stage.SLOT_FILE)


def test_it_is_told_in_words() -> None:
    assert str(Room(128, 122, 34, -31, 24)).startswith("122 of 128 blocks for the node, 34 for the next: 31 too few")
    assert "10 are left beside both" in str(Room(256, 122, 34, 10, 24))
    assert Room(256, 109, 34, 36, 24).fits


@pytest.mark.parametrize(("blocks", "warned"), [(160, True), (212, False)])
def test_who_signs_hears_that_a_board_has_no_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, blocks: int, warned: bool
) -> None:
    board = load_board("pico_w_waveshare")
    small = board.model_copy(update={"flash": board.flash.model_copy(update={"bytes": 4096 * blocks})})
    monkeypatch.setattr("provisioning.cli.updates.load_board", lambda _name: small)
    city = create_city(tmp_path / "city", "Teststad")
    keys.create(city)
    sign = ["-C", str(city.home), "update", "sign", "--board", "pico_w_waveshare"]
    made = ["--kind", "street_light", "--links", "serial,lora", "--sequence", "1", "--out", str(tmp_path / "one")]
    assert main([*sign, *made]) == 0, capsys.readouterr()
    assert ("has little room" in capsys.readouterr().out) is warned
