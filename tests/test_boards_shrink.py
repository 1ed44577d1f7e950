# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the build leaves out so that a board has more memory, and that nothing is missed."""

import ast
import builtins
from pathlib import Path

import pytest

from boards.build import FIRMWARE, board_sources, build_tree
from boards.errors import BuildError
from boards.shrink import shrink

RADIO = '''"""A module of the wire."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
BAND_HZ = 868000000
_STEP = 2 * BAND_HZ // 1000
_TABLE = (1, 2)
NAME = "lora"
MASK = 0xFFFFFFFF


def used(x: "Any") -> int:
    return x + _STEP + len(_TABLE)


def only_the_host() -> int:
    return only_the_host() + BAND_HZ


class Empty:
    LIMIT = 3
'''
APP = """from firmware.wire import radio
from firmware.wire.radio import NAME, MASK, used
import struct
_OFF = -5


def run(value):
    if value == radio.BAND_HZ:
        return used(value) - _OFF
    raise ValueError(NAME, MASK, "only", value)
"""


def shrunk() -> dict[str, str]:
    return shrink({"firmware.wire.radio": RADIO, "firmware.node.app": APP})


def test_constants_are_where_they_are_used() -> None:
    app = shrunk()["firmware.node.app"]
    assert "value == 868000000" in app
    assert "used(value) - (-5)" in app
    assert "ValueError('lora', MASK" in app
    assert "_OFF" not in app
    assert "import struct" not in app


def test_what_a_microcontroller_would_keep_as_an_object_is_kept_once() -> None:
    assert "MASK = 0xFFFFFFFF" in shrunk()["firmware.wire.radio"]


def test_what_only_the_host_uses_is_left_out() -> None:
    wire = shrunk()["firmware.wire.radio"]
    assert "only_the_host" not in wire
    assert "typing" not in wire
    assert "class Empty" not in wire
    assert "def used" in wire
    assert "BAND_HZ" not in wire


def test_a_name_that_is_looked_up_by_its_text_stays() -> None:
    kept = shrink({"firmware.wire.radio": RADIO, "firmware.node.app": "getattr(module, 'only_the_host')\n"})
    assert "def only_the_host" in kept["firmware.wire.radio"]


@pytest.mark.parametrize(
    "source", ["X = 1\ndef f():\n    global X\n    X = 2\n    return X\n", "X = 1\nX = 2\nprint(X)\n"]
)
def test_what_changes_is_no_constant(source: str) -> None:
    assert shrink({"firmware.node.app": source})["firmware.node.app"] == source


@pytest.mark.parametrize(
    "line", ["from firmware.wire.radio import BAND_HZ", "from firmware.wire.radio import BAND_HZ as hz, used"]
)
def test_a_constant_that_a_function_imports_is_refused(line: str) -> None:
    """Its name is gone from the board: the import would fail there, on the day that the function is called."""
    name = "hz" if " as hz" in line else "BAND_HZ"
    late = f"def later():\n    {line}\n    return {name}\n"
    with pytest.raises(ValueError, match=r"firmware.node.late, line 2: BAND_HZ .*at the top.*radio\.BAND_HZ"):
        shrink({"firmware.wire.radio": RADIO, "firmware.node.app": APP, "firmware.node.late": late})


def test_a_function_may_import_what_stays() -> None:
    late = "def later():\n    from firmware.wire import radio\n    from firmware.wire.radio import used, MASK\n"
    late += "    return used(radio.BAND_HZ, MASK)\n"
    kept = shrink({"firmware.wire.radio": RADIO, "firmware.node.app": APP, "firmware.node.late": late})
    assert "used(868000000, MASK)" in kept["firmware.node.late"]


def test_a_build_says_what_is_wrong(tmp_path: Path) -> None:
    for name, text in (("wire/radio", RADIO), ("node/late", "def f():\n    from firmware.wire.radio import BAND_HZ\n")):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(BuildError, match=rf"not for a board: {tmp_path}/node/late\.py, line 2: BAND_HZ"):
        build_tree(tmp_path / "out", firmware=tmp_path)


def test_lines_stay_where_they_were() -> None:
    for name, text in shrunk().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                source = {"firmware.wire.radio": RADIO, "firmware.node.app": APP}[name]
                assert source.split("\n")[node.lineno - 1].lstrip().startswith(f"def {node.name}")


def _dotted(path: str) -> str:
    return "firmware." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _bound(tree: ast.Module) -> set[str]:
    names = set(dir(builtins)) | {"__name__", "__file__", "const"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names


def test_the_firmware_misses_no_name() -> None:
    sources = {_dotted(str(path.relative_to(FIRMWARE))): path.read_text() for path in board_sources()}
    smaller = shrink(sources)
    trees = {name: ast.parse(text) for name, text in smaller.items()}
    for name, tree in trees.items():
        read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        annotations = {
            part.id
            for node in ast.walk(tree)
            for each in (getattr(node, "annotation", None), getattr(node, "returns", None))
            if each is not None
            for part in ast.walk(each)
            if isinstance(part, ast.Name)
        }
        assert read - annotations <= _bound(tree), name
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in trees:
                there = _bound(trees[node.module])
                for alias in node.names:
                    assert alias.name in there or f"{node.module}.{alias.name}" in trees, (name, alias.name)
    assert sum(map(len, smaller.values())) < 0.95 * sum(map(len, sources.values()))
