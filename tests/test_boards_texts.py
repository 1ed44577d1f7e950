# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sentences on flash instead of in memory: what the board says stays what the source says."""

import ast
import subprocess
from pathlib import Path

from boards.build import build_tree
from boards.texts import HOME, move_texts

READER = (Path(__file__).parent.parent / "firmware/node/texts.py").read_text()
APP = '''# a comment
"""A docstring with a space in it, and long."""
TABLE = ("a text of the module itself",)


def check(value: "dict of something long") -> None:
    """A docstring with a space in it, and long."""
    if value == "short one":
        raise ValueError(
            "the value is %d, "
            "which is – too much" % value
        )
    raise ValueError("the value is " + "another_without_a_space" + "the value is %d, which is – too much")
'''


def test_sentences_move_and_all_else_stays() -> None:
    moved = move_texts({HOME: READER, "firmware.node.app": APP})
    app = moved.sources["firmware.node.app"]
    assert moved.file.decode() == "the value is %d, which is – too much\n"
    assert app.count("_t(0)") == 2
    assert "another_without_a_space" in app and "short one" in app and "a text of the module itself" in app
    assert moved.sources[HOME] == READER
    assert len(app.split("\n")) == len(APP.split("\n"))
    assert {node.lineno for node in ast.walk(ast.parse(app)) if isinstance(node, ast.Raise)} == {9, 13}


def test_without_a_reader_nothing_moves() -> None:
    moved = move_texts({"firmware.node.app": APP})
    assert moved.sources == {"firmware.node.app": APP} and moved.file == b""


def say(micropython: Path, tree: Path, code: str) -> str:
    command = [str(micropython), "-X", "heapsize=1m", "-c", code]
    environment = {"MICROPYPATH": ".:.frozen"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=tree)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_board_says_what_the_source_says(micropython: Path, tmp_path: Path) -> None:
    tree = build_tree(tmp_path / "tree")
    code = """
from firmware.wire import cbor
for bad in (b"\\x01\\x02", b"\\xf9\\x00\\x00"):
    try:
        cbor.loads(bad)
    except Exception as error:
        print(error)
"""
    assert say(micropython, tree, code).split("\n") == [
        "CBOR: 1 bytes left over after the value",
        "CBOR: float or simple value 0xf9 at byte 0; this dialect has none",
    ]
    (tree / "firmware/node/texts").unlink()  # the error itself must come through
    assert [line.partition(" ")[0] for line in say(micropython, tree, code).split("\n")] == ["text", "text"]
    assert ": (249, 0)" in say(micropython, tree, code)
    assert "5" in say(micropython, tree, "from firmware.node.texts import text; print(text(3) + ' and', text(5))")
