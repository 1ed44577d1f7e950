# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A node's bytecode stays within its budget, whatever its role and link; nobody pays for another role's hardware."""

import re
import subprocess
import sys
from typing import Any

from benchmarks import bench_bytecode
from boards.schema import load_board
from provisioning.bench.needs import needed
from provisioning.images import LINKS


def test_each_role_fits_its_budget_with_each_link() -> None:
    measured = bench_bytecode.measure()
    rows = {name: row for name, row in measured.items() if isinstance(row, dict)}
    roles = [*bench_bytecode.BOARDS, "street_light with DALI"]
    assert set(rows) == {f"{role} on {link}" for role in roles for link in LINKS}
    over = {name: row["flash"] - bench_bytecode.GOAL_BYTES for name, row in rows.items()}
    assert all(bytes_over <= 0 for bytes_over in over.values()), f"{over}; `make bytecode` says what each module costs"
    update = measured["update"]
    assert isinstance(update, int)
    assert 0 < update <= 20 * 1024, "what is loaded for a while when an update comes"
    assert all(0 < row["resident"] < row["flash"] for row in rows.values())


def test_the_figures_are_those_of_today() -> None:
    """To a kilobyte: this one depends on no machine."""
    measured: dict[str, Any] = bench_bytecode.measure()
    roles = ["street_light", "street_light with DALI", "waste_bin", "traffic"]
    of = {link: [measured[f"{role} on {link}"]["flash"] for role in roles] for link in LINKS}
    wanted = {
        "bytecode of a node over LoRa": of["lora"],
        "the same with Bluetooth beside it, and its console": of["lora_ble"],
        "the same on a serial line; on Bluetooth alone": of["serial"] + of["ble"],
        "the code of an update": [measured["update"]],
        "all that an image holds": [measured["everything"]],
    }
    lines = (bench_bytecode.ROOT / "docs" / "figures.md").read_text("utf-8").splitlines()
    for row, sizes in wanted.items():
        (line,) = [each for each in lines if each.startswith(f"| {row}")]
        told = [1000 * int(number) for number in re.findall(r"(\d+) KB", line.split("|")[2])]
        assert len(told) == len(sizes), line
        off = [size for size, said in zip(sizes, told, strict=True) if abs(size - said) > 1000]
        assert off == [], f"docs/figures.md, {row}: it is {sizes}"


def report(*wanted: str) -> subprocess.CompletedProcess[str]:
    script = bench_bytecode.ROOT / "benchmarks" / "bench_bytecode.py"
    return subprocess.run(
        [sys.executable, str(script), "--modules", *wanted], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_developer_sees_what_each_module_costs_and_what_is_left() -> None:
    head = re.compile(r"(.+): (\d+) of (\d+) bytes, (-?\d+) left; (\d+) of them stay in memory")
    tables = report().stdout.split("\n\n")
    assert [table.partition(" on lora_ble: ")[0] for table in tables] == [
        *bench_bytecode.BOARDS,
        "street_light with DALI",
    ]
    for table in tables:
        first, *lines = table.splitlines()
        found = head.fullmatch(first)
        assert found is not None, first
        total, goal, left, resident = map(int, found.groups()[1:])
        sizes = [int(line.split()[0]) for line in lines]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(sizes) == total and goal == bench_bytecode.GOAL_BYTES and left == goal - total
        assert sum(size for size, line in zip(sizes, lines, strict=True) if "for a moment" not in line) == resident
        assert any(line.endswith("  firmware.node.app") for line in lines)


def test_a_developer_chooses_a_row_or_is_told_which_there_are() -> None:
    one = report("waste_bin on lora")
    assert one.stdout.startswith("waste_bin on lora: ") and one.stdout.count(" left; ") == 1
    none = report("waste_bin on wire")
    assert none.returncode == 2
    assert "no row has 'waste_bin on wire'" in none.stderr and "traffic on lora_ble" in none.stderr


def test_the_console_of_bluetooth_is_counted_where_there_is_bluetooth() -> None:
    known = bench_bytecode.modules()
    for link in LINKS:
        first = bench_bytecode.begin("waste_bin", link, "virtual_waste_bin")
        whole = bench_bytecode.closure(first, bench_bytecode.loadable(known, "virtual_waste_bin", link), True)
        assert ("firmware.wire.console" in whole) == ("firmware.node.links.ble" in whole) == ("ble" in link)


def test_what_is_counted_is_what_a_board_gets() -> None:
    known = bench_bytecode.modules()
    for role, board in [*bench_bytecode.BOARDS.items(), ("street_light", bench_bytecode.DALI)]:
        for link in LINKS:
            first = bench_bytecode.begin(role, link, board)
            whole = bench_bytecode.closure(first, bench_bytecode.loadable(known, board, link), True)
            counted = {known[name].relative_to(bench_bytecode.ROOT).with_suffix(".mpy").as_posix() for name in whole}
            lacking = counted - needed(load_board(board), role, frozenset({link}))
            assert not lacking, (role, board, link, lacking)


def test_a_plain_light_keeps_nothing_of_dali_in_memory() -> None:
    known = bench_bytecode.modules()
    plain = bench_bytecode.closure(bench_bytecode.begin("street_light", "lora", "virtual"), known, False)
    with_dali = bench_bytecode.closure(bench_bytecode.begin("street_light", "lora", "virtual_dali"), known, False)
    names = {name.rpartition(".")[2] for name in with_dali - plain}
    assert {"dali_bus", "dali_frames", "dali_lamp", "hlw8012", "extras", "lis3dh"} <= names
    assert not {name for name in plain if "dali" in name}
