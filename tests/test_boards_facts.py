# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Real boards: every file holds, and one that contradicts itself is refused with the reason."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from boards import schema
from boards.errors import SchemaError
from boards.facts import refusal
from provisioning.cli import app as cli
from provisioning.errors import BoardError
from provisioning.images import board_map, default_board

REAL = ["heltec_v3", "lilygo_t3s3", "nucleo_wl55", "pico_w_waveshare"]
T3S3 = (schema.FOLDER / "lilygo_t3s3.toml").read_text()


@pytest.mark.parametrize("name", REAL)
def test_a_real_board_tells_its_facts(name: str) -> None:
    board = schema.load_board(name)
    assert board.facts is not None and len(board.facts.sources) >= 2
    assert board.node.radio is not None
    assert not board.models


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("max_tx_dbm = 14", "max_tx_dbm = 17", "16.9 dBm ERP; EU868 allows 14"),
        ("antenna_gain_dbi = 2.0", "antenna_gain_dbi = 6.0", "17.9 dBm ERP"),
        ("dim_pin = 39", "dim_pin = 38", "pin 38 is used more than once: node.lamp_pin, node.dim_pin"),
        ("photocell_adc = 15", "photocell_adc = 40", "photocell_adc = 40: no ADC there"),
        ("heap_bytes = 196_608", "heap_bytes = 65_536", "facts.roles.street_light = 'heap': it needs 148480 bytes"),
        ("busy = 34", "busy = 22", "node.radio.busy = 22: no such pin"),
        ('default_role = "street_light"', 'default_role = "lamp"', "facts.default_role"),
        ("ram_bytes = 524_288", "ram = 1", "unknown key facts.ram"),
    ],
)
def test_a_board_that_contradicts_itself_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in T3S3
    path = tmp_path / "wrong.toml"
    path.write_text(T3S3.replace(old, new))
    with pytest.raises(SchemaError, match="(?s)" + reason.replace("(", r"\(")):
        schema.load_board(path)


def test_a_role_that_does_not_fit_is_refused_with_the_reason() -> None:
    nucleo = schema.load_board("nucleo_wl55")
    assert refusal("nucleo_wl55", nucleo.facts, "street_light") is not None
    assert refusal("heltec_v3", schema.load_board("heltec_v3").facts, "street_light") is None
    with pytest.raises(BoardError, match="64 KB of RAM"):
        board_map("nucleo_wl55", "lora", "street_light", {})


def test_a_board_too_small_for_frozen_code_may_not_say_so(tmp_path: Path) -> None:
    text = (schema.FOLDER / "nucleo_wl55.toml").read_text()
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace('waste_bin = "no"', 'waste_bin = "frozen"'))
    with pytest.raises(
        SchemaError, match=r"waste_bin = 'frozen': it needs \d+ bytes and the board has 45056; say 'no'"
    ):
        schema.load_board(path)
    path.write_text(text.replace('waste_bin = "no"', 'waste_bin = "frozen"').replace("45_056", "98_304"))
    reason = refusal("wrong", schema.load_board(path).facts, "waste_bin")
    assert reason is not None and "frozen into the interpreter" in reason


@pytest.mark.parametrize("name", REAL)
def test_a_pinned_image_is_the_build_and_the_release_that_the_board_asks_for(name: str) -> None:
    board = schema.load_board(name)
    assert board.bench is not None and board.facts is not None
    image = board.bench.image
    if image is None:
        return
    release = re.fullmatch(rf"{board.facts.micropython_board}-\d{{8}}-v(\d+)\.(\d+)\.\d+\.(bin|uf2)", image.file)
    assert release is not None and image.url is not None and image.url.endswith(f"/{image.file}")
    assert (int(release[1]), int(release[2])) >= tuple(map(int, board.facts.micropython_minimum.split(".")))
    assert release[3] == {"esptool": "bin", "drive": "uf2"}[board.bench.method]


def test_boards_are_listed_and_explained() -> None:
    listed = CliRunner().invoke(cli.app, ["boards"])
    assert listed.exit_code == 0
    for name in [*REAL, "virtual"]:
        assert name in listed.stdout
        shown = CliRunner().invoke(cli.app, ["boards", "show", name])
        assert shown.exit_code == 0 and "radio:" in shown.stdout
    assert "esptool" in CliRunner().invoke(cli.app, ["boards", "show", "lilygo_t3s3"]).stdout


def test_a_board_without_bluetooth_is_not_made_for_it() -> None:
    with pytest.raises(BoardError, match="no Bluetooth"):
        board_map("virtual", "ble", "street_light", {})
    for kind in ("street_light", "waste_bin", "traffic"):
        for link in ("ble", "lora_ble"):
            assert board_map(default_board(kind, link), link, kind, {})
