# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a build does to names of modules, and how a board's traceback is read all the same."""

import ast
import subprocess
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

from boards.build import FIRMWARE, board_sources, build_tree, dotted, shown_names, smaller_sources
from boards.names import explained, functions
from boards.relative import relative_imports

BROKEN = """
from firmware.node.files import Files
from firmware.node.roles.alarms import Alarms
try:
    Files("/nowhere/at/all").write("a", b"b")
except OSError as error:
    import sys
    sys.print_exception(error)
Alarms().update("fire", True, "often", {})
"""


def _imports(text: str) -> Iterator[tuple[int, str, int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, node.module or "", node.level, alias.name) for alias in node.names)


def test_relative_imports_are_of_the_same_modules() -> None:
    known = {dotted(path, FIRMWARE): path.read_text("utf-8") for path in board_sources()}
    packages = {name.rpartition(".")[0] for name in known}
    found = relative_imports(known)
    changed = 0
    for name, text in found.items():
        here = name if name in packages else name.rpartition(".")[0]
        before, after = list(_imports(known[name])), list(_imports(text))
        changed += before != after
        assert [(line, resolve_name("." * level + to, here), word) for line, to, level, word in after] == [
            (line, to, word) for line, to, _, word in before
        ]
        assert not [to for _, to, level, _ in after if to.startswith("firmware") and not level], name
        assert len(text.split("\n")) == len(known[name].split("\n"))
    assert changed > 90


def test_what_is_no_module_of_the_board_is_imported_as_it_was() -> None:
    app = "from machine import Pin\nfrom firmware.wire import x"
    sources = {"firmware": "", "firmware.node": "", "firmware.node.app": app}
    assert relative_imports(sources) == sources


def test_a_module_is_shown_by_as_little_as_tells_it_apart() -> None:
    names = ["firmware", "firmware.node", "firmware.node.app", "firmware.node.alarms", "firmware.node.roles.alarms"]
    shown = shown_names(names)
    assert list(shown.values()) == ["firmware", "node", "app", "node/alarms", "roles/alarms"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tree(tmp_path_factory.mktemp("built") / "tree")


def test_a_traceback_of_a_board_leads_to_the_source(micropython: Path, tree: Path) -> None:
    command = [str(micropython), "-c", BROKEN]
    env = {"MICROPYPATH": f"{tree}:.frozen"}
    done = subprocess.run(
        command, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and "OSError" in done.stdout and "TypeError" in done.stdout, done.stdout
    text = explained(done.stdout)
    assert 'File "files"' in text and 'File "roles/alarms"' in text, text
    meant = [line.strip() for line in text.splitlines() if line.startswith("    firmware")]
    assert [line.rpartition(" ")[2] for line in meant] == ["__init__", "_make", "update"], text
    for line in meant:
        path, lines, name = line.replace(", lines ", ":").split(":")[0], *line.partition(", lines ")[2].split(": ")
        first, last = (int(number) for number in lines.split(" to "))
        source = (FIRMWARE.parent / path).read_text("utf-8").split("\n")
        assert f"def {name}(" in source[first - 1] and first < last <= len(source)


def test_a_file_that_is_not_ours_is_left_as_it_is() -> None:
    text = 'Traceback (most recent call last):\n  File "main.py", line 7, in <module>\n  File "x", in y\nOSError: 5'
    assert explained(text) == text


def test_functions_stand_where_the_source_has_them() -> None:
    known = {dotted(path, FIRMWARE): path for path in board_sources()}
    small, _ = smaller_sources(known)
    for name, text in small.items():
        source = {node.lineno for node in functions(known[name].read_text("utf-8"))}
        assert {node.lineno for node in functions(text)} <= source, name
