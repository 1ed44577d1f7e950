# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Shorter names on the board: the same program, name for name, and fewer names."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boards.build import FIRMWARE, board_sources, build_tree
from boards.errors import BuildError
from boards.shorten import shorten
from boards.shrink import shrink

BASE = """class Base:
    def __init__(self, radio, hook=None):
        self._radio = radio
        self._hook = hook
        self.public = _helper(radio)

    def start(self, at_us):
        return self._load(at_us)


def _helper(radio):
    return [radio for radio in (radio,)]
"""
CHILD = """from firmware.node.base import Base, _helper
import machine


class Child(Base):
    def __init__(self, radio, name="x", *, level=0):
        super().__init__(radio)
        self._name = name
        self._level = level
        machine._private = level

    def _load(self, at_us):
        return at_us + self._level + len(getattr(self, "_kept"))

    @property
    def _kept(self):
        return self._name


def make(radio, name):
    return Child(radio, level=3, name=_helper(name))
"""
OTHER = """class Other:
    def __init__(self, value):
        self._thing = value

    def add(self, other):
        def inner(other, extra=other):
            return other + extra
        return lambda value, other=other: inner(value) + other._thing
"""
SOURCES = {"firmware.node.base": BASE, "firmware.node.child": CHILD, "firmware.node.other": OTHER}


_SPACES: dict[type[ast.AST], str] = {
    ast.Attribute: ".",
    ast.FunctionDef: ".",
    ast.AsyncFunctionDef: ".",
    ast.keyword: "=",
}  # names that no variable meets


def words(tree: ast.AST) -> Iterator[str]:
    """Every name in the order in which it stands, those of annotations left out."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from words(part)
            elif isinstance(part, str) and not isinstance(tree, ast.Constant):
                yield _SPACES.get(type(tree), "") + part


def assert_one_to_one(pairs: list[tuple[str, str]], where: str) -> None:
    there, back = dict(pairs), {new: old for old, new in pairs}
    assert all(there[old] == new and back[new] == old for old, new in pairs), where


def check_same_program(before: dict[str, str], after: dict[str, str]) -> None:
    for module, old in before.items():
        old_tree, new_tree = ast.parse(old), ast.parse(after[module])
        for was, now in zip(ast.walk(old_tree), ast.walk(new_tree), strict=True):
            assert type(was) is type(now)
            if isinstance(was, ast.expr | ast.stmt) and isinstance(now, ast.expr | ast.stmt):
                assert was.lineno == now.lineno
            if isinstance(was, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                pairs = zip(words(_own_part(was)), words(_own_part(now)), strict=True)
                assert_one_to_one(list(pairs), f"{module}: {getattr(was, 'name', '')}")
        private = [
            pair for pair in zip(words(old_tree), words(new_tree), strict=True) if pair[0].strip(".").startswith("_")
        ]
        assert_one_to_one(private, module)


def _own_part(node: ast.AST) -> ast.AST:
    """A function whole, a module without its functions and classes: arguments have names of their own in each."""
    if not isinstance(node, ast.Module):
        return node
    apart = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return ast.Module([each for each in node.body if not isinstance(each, apart)], [])


def test_names_that_only_the_module_knows_are_short() -> None:
    small = shorten(SOURCES)
    assert not {"_radio", "_hook", "_name", "_level", "_thing", "at_us", "._radio", "._thing"} & set(
        words(ast.parse("\n".join(small.values())))
    )
    check_same_program(SOURCES, small)


def test_what_others_can_name_keeps_its_name() -> None:
    child = shorten(SOURCES)["firmware.node.child"]
    assert "level=0" in child and "Child(" in child and "level=3, name=" in child
    assert '"_kept"' in child and "def _kept(self)" in child
    assert "machine._private" in child
    assert "self.public" in shorten(SOURCES)["firmware.node.base"]


def test_a_subclass_and_its_base_never_share_a_short_name() -> None:
    small = shorten(SOURCES)
    found: dict[str, set[str]] = {}
    for module in ("firmware.node.base", "firmware.node.child"):
        pairs = zip(words(ast.parse(SOURCES[module])), words(ast.parse(small[module])), strict=True)
        for old, new in pairs:
            if old.strip(".").startswith("_"):
                found.setdefault(new.strip("."), set()).add(old.strip("."))
    assert all(len(olds) == 1 for olds in found.values())


def test_what_runs_gives_the_same() -> None:
    for text in (OTHER, shorten(SOURCES)["firmware.node.other"]):
        space: dict[str, object] = {}
        exec(text, space)  # noqa: S102
        other = space["Other"]
        assert isinstance(other, type)
        assert other(4).add(3)(2, other(5)) == 2 + 3 + 5


def test_the_firmware_is_the_same_program_in_fewer_names() -> None:
    sources = shrink({_dotted(str(path.relative_to(FIRMWARE))): path.read_text() for path in board_sources()})
    small = shorten(sources)
    check_same_program(sources, small)
    both = sources, small
    before, after = ({word.strip(".=") for text in each.values() for word in words(ast.parse(text))} for each in both)
    print(len(before), len(after))
    assert len(after) < 0.75 * len(before)


def test_a_text_with_names_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"firmware\.node\.app, line 1: an f-string"):
        shorten({"firmware.node.app": "def f(value): return f'{value}'\n"})


COUNTER = "_count = 0\n\n\ndef more():\n    global _count\n    _count += 1\n    return _count\n"
NESTED = "def more(count):\n    def inner():\n        nonlocal count\n        count += 1\n    return inner\n"


@pytest.mark.parametrize(
    ("source", "line", "statement"), [(COUNTER, 5, "global _count"), (NESTED, 3, "nonlocal count")]
)
def test_a_build_refuses_a_statement_whose_names_it_would_not_shorten(
    tmp_path: Path, source: str, line: int, statement: str
) -> None:
    path = tmp_path / "node" / "counter.py"
    path.parent.mkdir()
    path.write_text(source)
    with pytest.raises(BuildError) as refused:
        build_tree(tmp_path / "out", firmware=tmp_path)
    assert f"{path}, line {line}: '{statement}'" in str(refused.value)
    assert "local variable referenced before assignment" in str(refused.value)
    assert "Keep what changes in an object" in str(refused.value)


def test_a_name_behind_as_means_the_same_in_what_runs() -> None:
    """Python does not say where it stands, so that it keeps its name wherever it is used."""
    source = "def _late(value):\n    try:\n        raise ValueError(value)\n    except ValueError as _late:\n"
    source += "        found = str(_late)\n    import math as value\n    return found, value.floor(2.5)\n"
    other = "from firmware.node.late import found as _kept\n\n\ndef run():\n    return _kept\n"
    kept = "def _kept(value):\n    return value\n"
    small = shorten({"firmware.node.late": source, "firmware.node.other": other, "firmware.node.kept": kept})
    space: dict[str, Callable[[str], object]] = {}
    exec(small["firmware.node.late"], space)  # noqa: S102
    assert space["_late"]("seen") == ("seen", 2)
    assert "return _kept" in small["firmware.node.other"]


def _dotted(path: str) -> str:
    return "firmware." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
