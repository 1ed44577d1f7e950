# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Firmware sources -> the same firmware with its sentences in a file on flash, read when one is to be said.

A sentence is a text with a space in it, longer than the call that takes its place, in the body of a function. Lines
stay where they are.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HOME = "firmware.node.texts"  # the module that reads them; the file lies beside it
_SHORTEST = 16
_NAME = "_t"
_IMPORT = f"from {HOME} import text as {_NAME}"


@dataclass(frozen=True)
class Texts:
    """*sources* by dotted name; *file* is what ``firmware.node.texts`` reads, one sentence a line."""

    sources: dict[str, str]
    file: bytes


def move_texts(sources: Mapping[str, str]) -> Texts:
    """Take the sentences out of the sources. Without the module that reads them, all stays as it is."""
    if HOME not in sources:
        return Texts(dict(sources), b"")
    file = bytearray()
    offsets: dict[str, int] = {}
    result = {}
    for name, source in sources.items():
        lines = source.split("\n")
        found = [] if name == HOME else sorted(_sentences(ast.parse(source)), key=_place, reverse=True)
        for node in found:
            sentence = str(node.value)
            if sentence not in offsets:
                offsets[sentence] = len(file)
                file += sentence.encode() + b"\n"
            _put(lines, node, f"{_NAME}({offsets[sentence]})")
        if found:
            lines[0] = _IMPORT + (" " if lines[0].startswith("#") else "; ") + lines[0]
        result[name] = "\n".join(lines)
    return Texts(result, bytes(file))


def _place(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _sentences(tree: ast.AST, inside: bool = False) -> Iterator[ast.Constant]:
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue  # the latter is a docstring
            if inside and isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sentence(node.value):
                yield node
            yield from _sentences(node, inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _is_sentence(text: str) -> bool:
    return len(text) >= _SHORTEST and " " in text and "\n" not in text


def _put(lines: list[str], node: ast.expr, call: str) -> None:
    """Write the call in place of a text, which may go on over several lines."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    head, tail = lines[first].encode()[: node.col_offset], lines[last].encode()[node.end_col_offset :]
    for line in range(first + 1, last + 1):
        lines[line] = ""
    lines[first] = head.decode() + call + (tail.decode() if first == last else "")
    if first != last:
        lines[last] = tail.decode()
