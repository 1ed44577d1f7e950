# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Board files: every one there is loads; a mistake is told with file, key, value and what is allowed. Builds."""

from pathlib import Path

import pytest

from boards import schema
from boards.build import build_tree
from boards.errors import BoardsError, BuildError, SchemaError
from boards.schema import FOLDER, load_board

GOOD = (FOLDER / "virtual.toml").read_text("utf-8")

# Change in the file, and what the message must contain.
MISTAKES = [
    ("lamp_pin = 21", "lamp_pin = 21\nlamp_pni = 3", ["node.lamp_pni = 3", "allowed here", "lamp_pin"]),
    ("lamp_pin = 21", 'lamp_pin = "21"', ["node.lamp_pin = '21'", "integer"]),
    ("lamp_pin = 21", "lamp_pin = 20", ["pin 20 is used more than once", "node.lamp_pin", "node.dim_pin"]),
    ("lamp_pin = 21", "lamp_pin = 77", ["node.lamp_pin = 77", "no such pin"]),
    ("photocell_adc = 4", "photocell_adc = 15", ["node.photocell_adc = 15", "no ADC", "[1, 2, 3, 4, 5, 6]"]),
    ("hz = 100_000", "hz = 5", ["node.i2c.hz = 5", "greater than or equal to 1000"]),
    ("hz = 100_000 }", "hz = 100_000, speed = 1 }", ["node.i2c.speed = 1", "allowed here: hz, id, scl, sda"]),
    ("i2c = { id = 0, scl = 9", "i2c = { id = 3, scl = 9", ["node.i2c.id = 3", "there are [0]"]),
    (
        "i2c = { id = 0, scl = 9, sda = 8, hz",
        "i2c = { id = 0, scl = 7, sda = 8, hz",
        ["node.i2c.scl = 7", "wired to pin 9"],
    ),
    ("block_bytes = 4096", "block_bytes = 4000", ["flash", "whole blocks"]),
    ("[board]", "[board]\ncolour = 1", ["unknown key board.colour", "allowed here", "heap_bytes"]),
    ('title = "Lykta virtual board"', "", ["board.title is missing"]),
    ('model = "lm75"', 'model = "lm57"', ["virtual.models[1]", "no model of that name", "bl0942, ", "lm75, "]),
    ("address = 0x48", "address = 0x20", ["virtual.models[1]", "address", "greater than or equal to 72"]),
    ("address = 0x48", "address = 0x48\nspeed = 1", ["virtual.models[1]", "speed"]),
    ("i2c = 0\naddress", "i2c = 2\naddress", ["virtual.models[1].i2c = 2", "there are [0]"]),
    ("relay_pin = 21", "relay_pin = 4", ["[virtual] pin 4 is used more than once"]),
    ("adc = [1, 2", "adc = [40, 2", ["pins.adc: pin 40 is not in pins.gpio"]),
]


@pytest.mark.parametrize("name", schema.names())
def test_every_board_file_is_right(name: str) -> None:
    assert load_board(name).board.name == name


def test_the_firmware_gets_the_node_table_word_for_word() -> None:
    assert load_board("virtual").node.as_map() == {
        "lamp_pin": 21,
        "dim_pin": 20,
        "dim_hz": 1000,
        "photocell_adc": 4,
        "i2c": {"id": 0, "scl": 9, "sda": 8, "hz": 100000},
        "temperature_addr": 0x48,
        "meter_uart": {"id": 1, "tx": 17, "rx": 18, "baud": 4800},
        "radio": {
            "chip": "sx126x",
            "spi": {"id": 1, "sck": 12, "mosi": 11, "miso": 13, "hz": 8000000},
            "cs": 10,
            "reset": 15,
            "busy": 14,
            "dio1": 16,
            "tcxo_mv": 1800,
            "dio2_rf_switch": True,
            "pa": "sx1262",
        },
        "wdt_ms": 8000,
    }


@pytest.mark.parametrize(("old", "new", "words"), MISTAKES, ids=[new[:40] for _, new, _ in MISTAKES])
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    path = tmp_path / "mine.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SchemaError) as refused:
        load_board(path)
    for word in [str(path), *words]:
        assert word in str(refused.value)
    assert isinstance(refused.value, BoardsError)
    assert isinstance(refused.value, ValueError)


def test_two_chips_cannot_have_one_address(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + '\n[[virtual.models]]\nmodel = "lm75"\ni2c = 0\naddress = 0x48\n')
    with pytest.raises(SchemaError, match=r"i2c 0, 0x48 is taken by models\[1\]"):
        load_board(path)


def test_a_real_board_needs_no_virtual_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.partition("\n[[virtual.models]]")[0])
    assert load_board(path).models == []


def test_a_board_that_does_not_exist_and_a_file_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"no board 'toaster'\. Known: .*virtual"):
        load_board("toaster")
    path = tmp_path / "mine.toml"
    path.write_text("[board\n")
    with pytest.raises(SchemaError, match="cannot be read as TOML"):
        load_board(path)


def test_a_build_is_bytecode_without_what_only_hosts_need(tmp_path: Path) -> None:
    tree = build_tree(tmp_path / "tree")
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert {"boot.py", "main.py", "firmware/wire/frame.mpy", "firmware/wire/kinds/street_light.mpy"} <= files
    assert not [name for name in files if "terms" in name]
    assert {name for name in files if name.endswith(".py")} == {"boot.py", "main.py"}
    assert (tree / "firmware/wire/frame.mpy").read_bytes()[:2] == b"M\x06"


def test_a_build_says_what_does_not_compile(tmp_path: Path) -> None:
    (tmp_path / "firmware" / "wire").mkdir(parents=True)
    (tmp_path / "firmware" / "wire" / "bad.py").write_text("def f(:\n")
    with pytest.raises(BuildError, match=r"bad\.py does not compile(?s:.*)line 1"):
        build_tree(tmp_path / "tree", firmware=tmp_path / "firmware")
    with pytest.raises(BuildError, match="no firmware sources"):
        build_tree(tmp_path / "tree", firmware=tmp_path / "nothing")
