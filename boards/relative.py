# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Firmware sources -> the same firmware whose imports name a module from where they stand: `from .store import Slots`.

Each file of bytecode brings its own copy of every name in it. The last part of a module's name is kept by its package
anyhow, the dotted whole is not: naming it so often cost more bytes than most drivers. Lines stay where they are.
"""

import ast
import re
from collections.abc import Collection, Mapping

_FROM = re.compile(rb"from\s+([\w.]+)")


def relative_imports(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of a board's modules, by dotted name, with relative imports of one another."""
    packages = {name.rpartition(".")[0] for name in sources}
    return {name: _rewritten(name, text, sources.keys(), packages) for name, text in sources.items()}


def _rewritten(name: str, text: str, modules: Collection[str], packages: Collection[str]) -> str:
    here = name if name in packages else name.rpartition(".")[0]
    lines = text.split("\n")
    found = [node for node in ast.walk(ast.parse(text, name)) if isinstance(node, ast.ImportFrom)]
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        if node.level or node.module is None or node.module not in modules:
            continue
        raw = lines[node.lineno - 1].encode()
        old = _FROM.match(raw, node.col_offset)
        if old is None or not here:  # a name that stands on a line of its own; a module outside any package
            continue
        lines[node.lineno - 1] = (raw[: old.start(1)] + _from(here, node.module).encode() + raw[old.end() :]).decode()
    return "\n".join(lines)


def _from(here: str, wanted: str) -> str:
    """Return *wanted* as a module of the package *here* names it."""
    mine, its = here.split("."), wanted.split(".")
    shared = 0
    while shared < min(len(mine), len(its)) and mine[shared] == its[shared]:
        shared += 1
    if not shared:
        return wanted
    return "." * (len(mine) - shared + 1) + ".".join(its[shared:])
