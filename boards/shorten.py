# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Firmware sources -> the same firmware with shorter names: MicroPython keeps every name of loaded code on the heap.

Private names (``_like_this``) and the names of arguments that nobody names in a call become short ones. Modules share
them, so that a board keeps a few instead of hundreds. What others can see keeps its name; so does what stands in a
text, for ``getattr``. Lines stay where they are, so that names.py finds what a traceback means in the source.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import count
from typing import TypeVar

from boards.errors import SourceError

_PRIVATE = re.compile(r"_[A-Za-z0-9][A-Za-z0-9_]*$")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DEF = re.compile(r"(?:async\s+)?def\s+|class\s+")
_OWN = ("self", "cls")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Node = TypeVar("_Node", bound=ast.AST)
_Place = tuple[int, int]  # line from 1, column in bytes


def shorten(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of a board's modules, by dotted name, with shorter names. SourceError (see _refuse)."""
    trees = {name: _parsed(name, text) for name, text in sources.items()}
    fixed = _texts(trees.values()).union(*(_given(tree) for tree in trees.values()))
    tokens = {name: _tokens(tree, sources[name].split("\n")) for name, tree in trees.items()}
    private = _private_names(trees, tokens, fixed)
    keywords = {word.arg or "" for tree in trees.values() for word in _all(tree, ast.keyword)}
    result = {}
    for name, tree in trees.items():
        places = tokens[name]
        names = {place: private[name][word] for place, word in places.items() if word in private[name]}
        names |= _arguments(tree, keywords, set(private[name]) | set(private[name].values()))
        result[name] = _replaced(sources[name], places, names)
    _nodes.cache_clear()
    return result


def _parsed(name: str, text: str) -> ast.Module:
    tree = ast.parse(text, name)
    _refuse(name, tree)
    return tree


def _refuse(name: str, tree: ast.Module) -> None:
    """Refuse what holds names of which Python does not say where they stand: they would stay and mean another."""
    for text in _all(tree, ast.JoinedStr):
        raise SourceError(name, text.lineno, "an f-string; the firmware's texts are made with %")
    for node in _nodes(tree):
        if isinstance(node, ast.Global | ast.Nonlocal):
            statement = f"{type(node).__name__.lower()} {', '.join(node.names)}"
            raise SourceError(
                name,
                node.lineno,
                f"{statement!r}: a build shortens names and does not know this statement, so that the board would fail "
                "when it comes there (local variable referenced before assignment). Keep what changes in an object "
                "(self.count), or in a list that the module makes (_count = [0])",
            )


def _all(tree: ast.AST, kind: type[_Node]) -> Iterator[_Node]:
    return (node for node in _nodes(tree) if isinstance(node, kind))


@lru_cache(maxsize=256)
def _nodes(tree: ast.AST) -> list[ast.AST]:
    return list(ast.walk(tree))


def _texts(trees: Iterable[ast.Module]) -> set[str]:
    """Return every text of the code, and each part of it that could be a name."""
    found = set()
    for tree in trees:
        for node in _all(tree, ast.Constant):
            if isinstance(node.value, str):
                found.update(re.findall(r"\w+", node.value))
    return found


def _given(tree: ast.AST) -> set[str]:
    """Return the names that stand behind ``as`` of an import or an except: they keep theirs."""
    found = {alias.asname for alias in _all(tree, ast.alias)} | {each.name for each in _all(tree, ast.ExceptHandler)}
    return {name for name in found if name is not None}


def _private_names(
    trees: Mapping[str, ast.Module], tokens: Mapping[str, dict[_Place, str]], fixed: set[str]
) -> dict[str, dict[str, str]]:
    """Return for each module what its private names become.

    Names of one family of modules (those whose classes inherit from one another) come from a pool that all families
    begin anew; a name that several families use has a short one of its own.
    """
    families = _families(trees)
    users: dict[str, set[str]] = defaultdict(set)
    makers: dict[str, set[str]] = defaultdict(set)
    shared: set[str] = set()  # what a module uses of an object that is not its own
    for module, tree in trees.items():
        for word in filter(_PRIVATE.match, tokens[module].values()):
            users[word].add(families[module])
        for word in _defined(tree):
            makers[word].add(families[module])
        shared |= {node.attr for node in _all(tree, ast.Attribute) if not _is_own(node.value)}
    renamed = {word for word in users if makers[word] and word not in fixed}
    taken = (set(users) - renamed) | fixed
    fresh = _short_names(taken, "_0")
    common = {word for word in renamed if users[word] != makers[word] or (word in shared and len(users[word]) > 1)}
    everywhere = {word: next(fresh) for word in sorted(common)}
    own: dict[str, dict[str, str]] = {}
    for family in sorted(set(families.values())):
        names = _short_names(taken, "_")
        own[family] = {word: next(names) for word in sorted(renamed - common) if family in users[word]}
    return {module: {**everywhere, **own[family]} for module, family in families.items()}


def _is_own(node: ast.expr) -> bool:
    """Tell whether an attribute of this is one of the object itself."""
    if isinstance(node, ast.Call):  # super()
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in _OWN


def _short_names(taken: set[str], prefix: str) -> Iterator[str]:
    """Yield short names; those of two prefixes never meet: "_0..." is kept from the others."""
    for number in count():
        word = ""
        while True:
            number, digit = divmod(number, len(_DIGITS))
            word = _DIGITS[digit] + word
            if not number:
                break
        if prefix + word not in taken and not (prefix == "_" and word.startswith("0")):
            yield prefix + word


def _families(trees: Mapping[str, ast.Module]) -> dict[str, str]:
    """Return for each module the name of its family."""
    family = {name: name for name in trees}
    for module, tree in trees.items():
        homes = _homes(tree, trees)
        for base in (base for node in _all(tree, ast.ClassDef) for base in node.bases):
            first = base.value if isinstance(base, ast.Attribute) else base
            home = homes.get(first.id) if isinstance(first, ast.Name) else None
            if home is not None:
                old, new = family[module], family[home]
                family = {name: new if value == old else value for name, value in family.items()}
    return family


def _homes(tree: ast.Module, modules: Mapping[str, ast.Module]) -> dict[str, str]:
    """Return where the names come from that a module has imported."""
    homes = {}
    for node in _all(tree, ast.ImportFrom):
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            home = whole if whole in modules else node.module or ""
            if home in modules:
                homes[alias.asname or alias.name] = home
    return homes


def _defined(tree: ast.Module) -> set[str]:
    """Return what a module makes a name for; what it only reads may belong to somebody else."""
    found = {node.name for node in _nodes(tree) if isinstance(node, _Function | ast.ClassDef)}
    found |= {node.id for node in _all(tree, ast.Name) if isinstance(node.ctx, ast.Store)}
    found |= {
        node.attr for node in _all(tree, ast.Attribute) if isinstance(node.ctx, ast.Store) and _is_own(node.value)
    }
    return found | {node.arg for node in _all(tree, ast.arg)}


def _tokens(tree: ast.Module, lines: list[str]) -> dict[_Place, str]:
    """Return every name that code uses, by its place."""
    found: dict[_Place, str] = {}
    for node in _read(tree):
        if isinstance(node, ast.Name):
            found[node.lineno, node.col_offset] = node.id
        elif isinstance(node, ast.Attribute):
            found[node.end_lineno or 0, (node.end_col_offset or 0) - len(node.attr)] = node.attr
        elif isinstance(node, ast.arg | ast.keyword):
            found[node.lineno, node.col_offset] = node.arg or ""
        elif isinstance(node, ast.alias):
            found[node.lineno, node.col_offset] = node.name
        elif isinstance(node, _Function | ast.ClassDef):
            head = _DEF.match(lines[node.lineno - 1].encode()[node.col_offset :].decode())
            found[node.lineno, node.col_offset + (head.end() if head else 0)] = node.name
    return found


def _read(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those of annotations, which a board does not read."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST):
                yield node
                yield from _read(node)


def _arguments(tree: ast.Module, keywords: set[str], taken: set[str]) -> dict[_Place, str]:
    """Return new names of the arguments of functions and methods, by each place where they stand."""
    known = taken | keywords | {node.id for node in _all(tree, ast.Name)} | {node.arg for node in _all(tree, ast.arg)}
    known |= {alias.asname or alias.name for alias in _all(tree, ast.alias)}
    known |= {node.name for node in _nodes(tree) if isinstance(node, _Function | ast.ClassDef)}
    fresh = [letter for letter in _DIGITS[10:] if letter not in known]
    found: dict[_Place, str] = {}
    for body in [tree.body, *(owner.body for owner in _all(tree, ast.ClassDef))]:
        for function in body:
            if isinstance(function, _Function):
                found |= _arguments_of(function, keywords | taken | _given(function), fresh)
    return found


def _arguments_of(function: _Function, kept: set[str], fresh: list[str]) -> dict[_Place, str]:
    given = function.args
    every = [each.arg for each in given.posonlyargs + given.args + given.kwonlyargs]
    short = dict(zip((arg for arg in every if arg not in kept and arg not in _OWN), fresh, strict=False))
    outside = {
        id(node)
        for each in [*given.defaults, *given.kw_defaults, *function.decorator_list]
        if each
        for node in ast.walk(each)
    }
    found = {}
    for node in _read(function):
        name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else None
        if name in short and id(node) not in outside and isinstance(node, ast.Name | ast.arg):
            found[node.lineno, node.col_offset] = short[name]
    return found


def _replaced(text: str, places: Mapping[_Place, str], names: Mapping[_Place, str]) -> str:
    """Write the new names, last one of a line first, so that places stay right."""
    lines = text.split("\n")
    for line, column in sorted(names, reverse=True):
        raw = lines[line - 1].encode()
        end = column + len(places[line, column].encode())
        lines[line - 1] = (raw[:column] + names[line, column].encode() + raw[end:]).decode()
    return "\n".join(lines)
