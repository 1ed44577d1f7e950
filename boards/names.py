# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board's traceback means: `python -m boards.names < traceback` puts the source's file, lines and names beside.

A build keeps no numbers of lines and shortens private names (build.py, shorten.py); it is the same for the same
sources, so that these say it as long as the board runs their build: its status report has the version and the hash.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from boards.build import FIRMWARE, board_sources, dotted, shown_names, smaller_sources

_ENTRY = re.compile(r'^\s*File "([^"]+)"(?:, line \d+)?, in (\S+)')
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def explained(text: str, firmware: Path = FIRMWARE) -> str:
    """Return a traceback of a board with what each of its entries means."""
    known = {dotted(path, firmware): path for path in board_sources(firmware)}
    small, _ = smaller_sources(known)
    modules = {shown: name for name, shown in shown_names(known).items()}
    result = []
    for line in text.splitlines():
        found = _ENTRY.match(line)
        meant = _meant(modules, known, small, *found.groups()) if found else []
        result += [line, *(f"    {each}" for each in meant)]
    return "\n".join(result)


def _meant(
    modules: Mapping[str, str], known: Mapping[str, Path], small: Mapping[str, str], shown: str, name: str
) -> list[str]:
    module = modules.get(shown)
    if module is None:
        return []
    path = known[module]
    source = {node.lineno: node for node in functions(path.read_text("utf-8"))}
    there = path.relative_to(FIRMWARE.parent) if path.is_relative_to(FIRMWARE.parent) else path
    lines = [node.lineno for node in functions(small[module]) if node.name == name]
    if name == "<module>":
        return [f"{there}: at the top of the module"]
    return [f"{there}, lines {line} to {source[line].end_lineno}: {source[line].name}" for line in lines]


def functions(text: str) -> Iterator[_Function]:
    """Yield what a module's source defines: functions, methods, classes."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, _Function))


if __name__ == "__main__":
    sys.stdout.write(explained(sys.stdin.read()) + "\n")
