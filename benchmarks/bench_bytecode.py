# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How much bytecode a node of a role and link has, as mpy-cross writes it (.mpy version 6, MicroPython 1.23 and newer).

Prints one JSON object: bytes on flash by role and link, each with the drivers of its virtual board and what it borrows
for a moment; ``resident`` is without the latter. ``test_port`` is what a laboratory needs, where a board's file opens
it; ``update`` what is loaded while an update comes; ``everything`` is all that an image holds, for any role.

``--modules [ROW]`` (`make bytecode`) prints tables instead: what each module costs, the largest first, and what is left
of the budget. ROW is a part of a row's name, such as "waste_bin on lora"; without it, each role with both radios.
"""

import argparse
import ast
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from boards.build import board_sources, build_tree  # noqa: E402
from boards.schema import load_board  # noqa: E402

FIRMWARE = ROOT / "firmware"
BOARDS = {"street_light": "virtual", "waste_bin": "virtual_waste_bin", "traffic": "virtual_traffic"}
DALI = "virtual_dali"
GOAL_BYTES = 96 * 1024
FULLEST = "on lora_ble"
_LAMP, _SENSORS = "firmware.node.lamp.", "firmware.node.sensors."
_SLEEP = {"firmware.node.slumber", "firmware.node.rest"}
ELSEWHERE = {  # what lamp/opening.py opens on other boards; and what a lamp on mains never does: sleep
    "virtual": {
        *_SLEEP,
        _LAMP + "dali_bus",
        _LAMP + "dali_lamp",
        _LAMP + "dali_frames",
        _LAMP + "extras",
    },
    DALI: {*_SLEEP, _LAMP + "output", _SENSORS + "bl0942"},
}
CONSOLE = "firmware.node.console"  # loaded when somebody speaks over Bluetooth: service.py asks its link
EXTRA = {"serial": [], "ble": ["console"], "lora": ["radio.sx126x"], "lora_ble": ["radio.sx126x", "console"]}
TEST_PORT = {f"firmware.node.{name}" for name in ("lorawan.certification", "lorawan.carrier", "radio.sx126x_carrier")}
UPDATE = {f"firmware.{name}" for name in ("node.update_desk", "node.update_stage", "node.update_trial", "node.p256")}
UPDATE |= {"firmware.wire.update", "firmware.wire.fragments", "firmware.node.defragmenter"}


def modules() -> dict[str, Path]:
    """Every module of a board, by dotted name."""
    found = {}
    for path in board_sources():
        parts = ["firmware", *path.relative_to(FIRMWARE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def needs(path: Path) -> tuple[set[str], set[str]]:
    """Names that a module imports, and those that it borrows."""
    imported, borrowed = set(), set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "borrowed":
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            borrowed |= {f"firmware.node.{word}" for word in words[:1]} | {f"firmware.{word}" for word in words[1:]}
    return imported, borrowed


def closure(begin: Iterable[str], known: dict[str, Path], with_borrowed: bool) -> set[str]:
    """Everything that is loaded when these are; names that are no module of ours are passed over."""
    found: set[str] = set()
    waiting = list(begin)
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        imported, borrowed = needs(known[name])
        parents = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
        waiting += [*imported, *parents, *(borrowed if with_borrowed else [])]
    return found


def begin(role: str, link: str, board: str) -> list[str]:
    """Where the loading begins."""
    node = load_board(board).node
    chips = [each.chip for each in node.sensors or []]
    names = [
        "start",
        "texts",
        "app",
        f"roles.{role}",
        f"links.{link}",
        *EXTRA[link],
        *(f"sensors.{chip}" for chip in chips),
    ]
    if role == "street_light":
        names += ["sensors.lm75", "sensors.photocell", "lamp.control", "lamp.health", "lamp.burning", "roles.energy"]
        names += (
            ["sensors.bl0942", "lamp.output"]
            if node.dali is None
            else ["sensors.hlw8012", "lamp.dali_lamp", "lamp.extras"]
        )
    return ["firmware.wire.kinds." + role, *("firmware.node." + name for name in names)]


def loadable(known: dict[str, Path], board: str, link: str) -> dict[str, Path]:
    """What a node with this board and link may ever load, but for updates and the laboratory's port."""
    never = {*TEST_PORT, *UPDATE, *ELSEWHERE.get(board, ())}
    never |= set() if "console" in EXTRA[link] else {CONSOLE}
    return {name: path for name, path in known.items() if name not in never}


@dataclass(frozen=True)
class Row:
    """Bytes of each module that a node of a role and link may load, by dotted name; *borrowed* go again."""

    sizes: dict[str, int]
    borrowed: frozenset[str]

    @property
    def flash(self) -> int:
        """Bytes of all of them."""
        return sum(self.sizes.values())

    @property
    def resident(self) -> int:
        """Bytes of those that stay in memory."""
        return sum(size for name, size in self.sizes.items() if name not in self.borrowed)


@contextmanager
def built() -> Iterator[tuple[Path, dict[str, int]]]:
    """Give a board's tree, built for this, and the bytes of each module in it. BuildError."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = build_tree(Path(scratch) / "tree")
        yield tree, {name: _size(tree, path) for name, path in modules().items()}


def rows(size: dict[str, int]) -> dict[str, Row]:
    """Return what is counted, by role and link."""
    known = modules()
    result = {}
    for role, board in [*BOARDS.items(), ("street_light", DALI)]:
        for link in EXTRA:
            first = begin(role, link, board)
            controls = [f"firmware.wire.kinds.{name}_controls" for name in (role, "common")]
            there = loadable(known, board, link)
            whole = closure([*first, *controls], there, True)
            borrowed = whole - closure(first, there, False)
            sizes = {name: size[name] for name in whole}
            result[f"{role}{' with DALI' if board == DALI else ''} on {link}"] = Row(sizes, frozenset(borrowed))
    return result


def measure() -> dict[str, object]:
    """Bytes by role and link."""
    with built() as (tree, size):
        result: dict[str, object] = {
            name: {"flash": row.flash, "resident": row.resident} for name, row in rows(size).items()
        }
        result["test_port"] = sum(size[name] for name in TEST_PORT)
        result["update"] = sum(size[name] for name in sorted(UPDATE & size.keys()))
        result["everything"] = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    return result


def by_module(wanted: str) -> str:
    """Return a table for the row *wanted*, or each that has it in its name: modules, largest first. ValueError."""
    with built() as (_, size):
        every = rows(size)
    chosen = {name: row for name, row in every.items() if name == wanted or (wanted in name and wanted not in every)}
    if not chosen:
        raise ValueError(f"no row has {wanted!r} in its name; there are: {', '.join(every)}")
    return "\n\n".join(_table(name, row) for name, row in chosen.items())


def _table(name: str, row: Row) -> str:
    left = GOAL_BYTES - row.flash
    lines = [
        f"{name}: {row.flash} of {GOAL_BYTES} bytes, {f'{left} left' if left >= 0 else f'{-left} TOO MANY'}; "
        f"{row.resident} of them stay in memory"
    ]
    for module, size in sorted(row.sizes.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"{size:8}  {module}{'  (for a moment)' if module in row.borrowed else ''}")
    return "\n".join(lines)


def _size(tree: Path, source: Path) -> int:
    built = (tree / "firmware" / source.relative_to(FIRMWARE)).with_suffix(".mpy")
    return built.stat().st_size if built.exists() else 0  # boot.py and main.py are source


def main() -> None:
    """Print the JSON object, or tables by module."""
    parser = argparse.ArgumentParser(description="How much bytecode a node of each role and link has.")
    parser.add_argument("--modules", nargs="?", const=FULLEST, metavar="ROW", help="a table by module for such rows")
    wanted = parser.parse_args().modules
    if wanted is None:
        print(json.dumps(measure(), indent=2))
        return
    try:
        print(by_module(wanted or FULLEST))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
