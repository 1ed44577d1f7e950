# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""How much bytecode a node of a role and link has, as mpy-cross writes it (.mpy version 6, MicroPython 1.23 and newer).

Prints one JSON object: bytes on flash by role and link, each with the drivers of its virtual board and what it borrows
for a moment; ``resident`` is without the latter. ``test_port`` is what a laboratory needs, where a board's file opens
it; ``update`` what is loaded while an update comes; ``everything`` is all that an image holds, for any role.
"""

import ast
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from boards.build import board_sources, build_tree  # noqa: E402
from boards.schema import load_board  # noqa: E402

FIRMWARE = ROOT / "firmware"
BOARDS = {"street_light": "virtual", "waste_bin": "virtual_waste_bin", "traffic": "virtual_traffic"}
DALI = "virtual_dali"
GOAL_BYTES = 96 * 1024
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


def measure() -> dict[str, object]:
    """Bytes by role and link."""
    known = modules()
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as scratch:
        tree = build_tree(Path(scratch) / "tree")
        size = {name: _size(tree, path) for name, path in known.items()}
        for role, board in [*BOARDS.items(), ("street_light", DALI)]:
            for link in EXTRA:
                first = begin(role, link, board)
                controls = [f"firmware.wire.kinds.{name}_controls" for name in (role, "common")]
                there = loadable(known, board, link)
                whole = closure([*first, *controls], there, True)
                row = {
                    "flash": sum(size[n] for n in whole),
                    "resident": sum(size[n] for n in closure(first, there, False)),
                }
                result[f"{role}{' with DALI' if board == DALI else ''} on {link}"] = row
        result["test_port"] = sum(size[name] for name in TEST_PORT)
        result["update"] = sum(size[name] for name in sorted(UPDATE & size.keys()))
        result["everything"] = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    return result


def _size(tree: Path, source: Path) -> int:
    built = (tree / "firmware" / source.relative_to(FIRMWARE)).with_suffix(".mpy")
    return built.stat().st_size if built.exists() else 0  # boot.py and main.py are source


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
