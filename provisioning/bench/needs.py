# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Which of the node's files a board needs for one kind and its links, so that two copies fit into a small flash.

What a module imports is read from its source; what it loads by name is in few places: roles, links, radios, sensors and
kinds, each by the board's file, and what `lazy.borrowed` names. A text
that names a module counts as loading it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from boards.build import FIRMWARE, board_sources
from boards.schema import BoardFile

_STARTS: Final = ("firmware.node.start", "firmware.node.texts")
_ROOTS: Final = ("firmware.", "firmware.node.", "firmware.node.sensors.")


_ON_AIR = frozenset({"lora", "lora_ble"})
_FOR_FRAGMENTS = frozenset({"firmware.node.update_fragments", "firmware.node.defragmenter", "firmware.wire.fragments"})
"""By which releases come by radio; on a line they come in blocks, and two trees of a node are tight in 1 MB."""


def needed(board: BoardFile, kind: str, links: frozenset[str]) -> frozenset[str]:
    """The paths, as in a package (`firmware/node/app.mpy`), that this kind needs on this board with these links."""
    graph = _graph()
    waiting = [*_STARTS, f"firmware.node.roles.{kind}", f"firmware.wire.kinds.{kind}"]
    waiting += [f"firmware.wire.kinds.{kind}_controls", "firmware.wire.kinds.common_controls"]
    waiting += [f"firmware.node.links.{link}" for link in links]
    if links & _ON_AIR and board.node.radio is not None:
        waiting.append(f"firmware.node.radio.{board.node.radio.chip}")
    waiting += [f"firmware.node.sensors.{text}" for text in _texts(board.node.as_map())]
    left_out = frozenset() if links & _ON_AIR else _FOR_FRAGMENTS
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or name in left_out or name not in graph:
            continue
        found.add(name)
        waiting += graph[name]
        waiting.append(name.rpartition(".")[0])
    return frozenset(_path(name) for name in found)


def _texts(value: object) -> Iterator[str]:
    """Every text in the board map: the chips are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


@cache
def _graph() -> dict[str, tuple[str, ...]]:
    sources = {_dotted(path): path for path in board_sources()}
    return {name: tuple(_loads(path, sources.keys())) for name, path in sources.items()}


def _loads(path: Path, names: Collection[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (root + node.value for root in _ROOTS if root + node.value in names)


def _dotted(path: Path) -> str:
    parts = ("firmware", *path.relative_to(FIRMWARE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(name: str) -> str:
    relative = Path(*name.split(".")[1:])
    if name == "firmware" or (FIRMWARE / relative).is_dir():
        return (Path("firmware") / relative / "__init__.mpy").as_posix()
    return (Path("firmware") / relative).with_suffix(".mpy").as_posix()
