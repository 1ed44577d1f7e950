# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Firmware sources -> the same firmware in less memory: on a board every name costs bytes, used or not.

Module constants (NAMES_LIKE_THIS, assigned once, a number or a short text) are put in where they are used, and the
names go; so do blocks for type checkers, and what of ``firmware/wire`` only the host's half uses. Lines stay where
they are: names.py finds a function of the source by them.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from boards.errors import SourceError

_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*$")
_SHORT_TEXT = 10  # MicroPython keeps such a text once, however often it is used
_SMALL_INT = 1 << 30  # beyond it a number is an object on the heap of a 32-bit board
_HOST_TOO = "firmware.wire."
_MAY_BE_RECURSIVE = 3  # a function that only names itself is not used
_UNSAFE_OPERATORS = (ast.Pow, ast.MatMult)
Literal = int | str | bool
_Place = tuple[int, int, int, int]  # first line and column, last line and column behind it


@dataclass
class _Module:
    """One source file while it is worked on; *modules*, *constants*: what its names stand for, by local name."""

    name: str
    lines: list[str]
    tree: ast.Module
    modules: dict[str, str] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    constants: dict[str, Literal] = field(default_factory=dict)
    stored: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)

    def parse(self) -> None:
        """Look at the lines anew."""
        self.tree = ast.parse("\n".join(self.lines))
        self.named = Counter(_names(self.tree))


def shrink(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of a board's modules, by dotted name, in their smaller form."""
    return dict(_shrunk(tuple(sources.items())))


@lru_cache(maxsize=4)
def _shrunk(items: tuple[tuple[str, str], ...]) -> dict[str, str]:
    sources = dict(items)
    modules = {name: _Module(name, text.split("\n"), ast.parse(text, name)) for name, text in sources.items()}
    for module in modules.values():
        _drop_type_checking(module)
        module.stored = Counter(
            node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        )
    for module in modules.values():
        _resolve_imports(module, modules)
    while any([_find_constants(module, modules) for module in modules.values()]):
        pass
    for module in modules.values():
        _put_in(module, modules)
    while _drop_unused(modules):
        pass
    for module in modules.values():
        _check_imports(module, modules)
    return {name: "\n".join(module.lines) for name, module in modules.items()}


def _drop_type_checking(module: _Module) -> None:
    unwanted: list[ast.stmt] = [
        node
        for node in module.tree.body
        if (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
        or (isinstance(node, ast.Assign) and _target(node) == "TYPE_CHECKING")
    ]
    _blank(module, unwanted)


def _resolve_imports(module: _Module, modules: Mapping[str, _Module]) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                local = alias.asname or alias.name
                whole = f"{node.module}.{alias.name}"
                if whole in modules:
                    module.modules[local] = whole
                elif node.module in modules:
                    module.imported[local] = (node.module, alias.name)


def _target(node: ast.stmt) -> str | None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


def _find_constants(module: _Module, modules: Mapping[str, _Module]) -> bool:
    """Return whether there were any that were not known before."""
    before = len(module.constants)
    for node in module.tree.body:
        name = _target(node)
        if name and _CONSTANT.match(name) and module.stored[name] == 1 and isinstance(node, ast.Assign):
            value = _value(node.value, module, modules)
            if value is not None and _worth_it(value):
                module.constants[name] = value
    for local, (home, name) in module.imported.items():
        if name in modules[home].constants:
            module.constants[local] = modules[home].constants[name]
    return len(module.constants) > before


def _worth_it(value: Literal) -> bool:
    if isinstance(value, str):
        return len(value) <= _SHORT_TEXT
    return abs(value) < _SMALL_INT


def _value(node: ast.expr, module: _Module, modules: Mapping[str, _Module]) -> Literal | None:
    """Return what an expression of literals and constants is, None for any other."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | str):
        return node.value
    if isinstance(node, ast.Name | ast.Attribute):
        return _constant(node, module, modules)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const":
        return _value(node.args[0], module, modules)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, module, modules)
        return -inner if type(inner) is int else None
    if isinstance(node, ast.BinOp) and not isinstance(node.op, _UNSAFE_OPERATORS):
        left, right = _value(node.left, module, modules), _value(node.right, module, modules)
        if type(left) is int and type(right) is int and not isinstance(node.op, ast.Div):
            parts = ast.BinOp(ast.Constant(left), node.op, ast.Constant(right))
            found: int = eval(compile(ast.fix_missing_locations(ast.Expression(parts)), "", "eval"))  # noqa: S307
            return found
    return None


def _constant(node: ast.expr, module: _Module, modules: Mapping[str, _Module]) -> Literal | None:
    if isinstance(node, ast.Name):
        return module.constants.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in module.modules:
        return modules[module.modules[node.value.id]].constants.get(node.attr)
    return None


def _put_in(module: _Module, modules: Mapping[str, _Module]) -> None:
    """Write each constant where it is read, last one first, so that places stay right."""
    places: list[tuple[_Place, str]] = []
    for node in _read(module.tree):
        value = _constant(node, module, modules) if isinstance(node, ast.Name | ast.Attribute) else None
        if value is not None and isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", None), ast.Load):
            places.append((_place(node), f"({value})" if type(value) is int and value < 0 else repr(value)))
    for (line, begin, _, end), text in sorted(places, reverse=True):
        raw = module.lines[line - 1].encode()
        module.lines[line - 1] = (raw[:begin] + text.encode() + raw[end:]).decode()
    module.parse()


def _drop_unused(modules: Mapping[str, _Module]) -> bool:
    """Drop what nobody names any more; return whether there was anything."""
    named: Counter[str] = Counter()
    for module in modules.values():
        named.update(module.named)
    dropped = False
    for module in modules.values():
        unwanted: list[ast.stmt] = []
        bodies = [module.tree.body, *(node.body for node in module.tree.body if isinstance(node, ast.ClassDef))]
        for body in bodies:
            unwanted += [node for node in body if _unused(node, module, named)]
        _blank(module, unwanted)
        dropped = _drop_imports(module, modules) or bool(unwanted) or dropped
    return dropped


def _unused(node: ast.stmt, module: _Module, named: Counter[str]) -> bool:
    """*named* counts what all modules refer to; for a private name only its own one counts."""
    name = _target(node)
    if name is not None:
        return bool(_CONSTANT.match(name)) and not (module.named if name.startswith("_") else named)[name]
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and module.name.startswith(_HOST_TOO):
        if node.name.startswith("__") or named[node.name] > _MAY_BE_RECURSIVE:
            return False
        return named[node.name] <= Counter(_names(node))[node.name]
    return False


def _drop_imports(module: _Module, modules: Mapping[str, _Module]) -> bool:
    """Leave out of the imports at the top what the module does not use, unless another one takes it from here."""
    wanted = set(module.named)
    for other in modules.values():
        wanted |= {name for home, name in other.imported.values() if home == module.name}
    dropped = False
    for node in module.tree.body:
        if not isinstance(node, ast.ImportFrom | ast.Import):
            continue
        kept = [alias for alias in node.names if (alias.asname or alias.name).partition(".")[0] in wanted]
        if len(kept) == len(node.names):
            continue
        dropped = True
        _blank(module, [node])
        for alias in set(node.names) - set(kept):
            module.imported.pop(alias.asname or alias.name, None)
        if kept:
            shorter = type(node)(**{**dict(ast.iter_fields(node)), "names": kept})
            module.lines[node.lineno - 1] = ast.unparse(shorter)
    if dropped:
        module.parse()
    return dropped


def _check_imports(module: _Module, modules: Mapping[str, _Module]) -> None:
    """Refuse an import of a name that was left out: on a board it would fail, and only when it is come to."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None or node.module not in modules:
            continue
        home = node.module
        there = set(_bound(modules[home].tree.body))
        for alias in node.names:
            if alias.name not in there and f"{home}.{alias.name}" not in modules:
                raise SourceError(
                    module.name,
                    node.lineno,
                    f"{alias.name} is imported inside a function, and {home} does not keep it: a constant is put in "
                    f"where it is used. Import it at the top of the module, or import {home} and say "
                    f"{home.rpartition('.')[2]}.{alias.name}",
                )


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module's own statements bind, those within if, try, for and with too."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
            continue
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody"):
                yield from _bound(value)
            elif name == "handlers":
                for handler in value:
                    yield from _bound(handler.body)
            else:
                parts = value if isinstance(value, list) else [value]
                for part in parts:
                    if isinstance(part, ast.AST):
                        yield from (each.id for each in ast.walk(part) if isinstance(each, ast.Name))


def _blank(module: _Module, nodes: list[ast.stmt]) -> None:
    for node in nodes:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        for line in range(first, (node.end_lineno or node.lineno) + 1):
            module.lines[line - 1] = ""
    if not nodes:
        return
    for owner in [node for node in module.tree.body if isinstance(node, ast.ClassDef) and node not in nodes]:
        if all(node in nodes or _is_text(node) for node in owner.body):
            last = owner.body[0]
            module.lines[last.lineno - 1] = " " * last.col_offset + "pass"
    module.parse()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _read(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those of annotations, which a board does not read, and of docstrings."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not (isinstance(node, ast.stmt) and _is_text(node)):
                yield node
                yield from _read(node)


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that code refers to, by text as well; not those of what is defined."""
    for node in _read(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _place(node: ast.expr) -> _Place:
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0
