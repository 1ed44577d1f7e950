# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A node's bytecode stays within its budget, whatever its role and link; nobody pays for another role's hardware."""

from benchmarks import bench_bytecode


def test_each_role_fits_its_budget() -> None:
    measured = bench_bytecode.measure()
    rows = {name: row for name, row in measured.items() if isinstance(row, dict)}
    assert len(rows) == 8
    over = {name: row["flash"] - bench_bytecode.GOAL_BYTES for name, row in rows.items()}
    assert all(bytes_over <= 0 for name, bytes_over in over.items() if "DALI" not in name), over
    assert all(bytes_over <= 8192 for bytes_over in over.values()), (
        over
    )  # with all that hangs on a pole: README says it
    update = measured["update"]
    assert isinstance(update, int)
    assert 0 < update <= 20 * 1024, "what is loaded for a while when an update comes"
    assert all(0 < row["resident"] < row["flash"] for row in rows.values())


def test_a_plain_light_keeps_nothing_of_dali_in_memory() -> None:
    known = bench_bytecode.modules()
    plain = bench_bytecode.closure(bench_bytecode.begin("street_light", "lora", "virtual"), known, False)
    with_dali = bench_bytecode.closure(bench_bytecode.begin("street_light", "lora", "virtual_dali"), known, False)
    names = {name.rpartition(".")[2] for name in with_dali - plain}
    assert {"dali_bus", "dali_frames", "dali_lamp", "hlw8012", "extras", "lis3dh"} <= names
    assert not {name for name in plain if "dali" in name}
