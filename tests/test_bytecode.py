# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A node's bytecode stays within its budget, whatever its role and link; nobody pays for another role's hardware."""

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
    assert all(bytes_over <= 0 for bytes_over in over.values()), over
    update = measured["update"]
    assert isinstance(update, int)
    assert 0 < update <= 20 * 1024, "what is loaded for a while when an update comes"
    assert all(0 < row["resident"] < row["flash"] for row in rows.values())


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
