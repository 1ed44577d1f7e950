# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Memory of the node: how much heap its code takes as it is built for a board. benchmarks/bench_heap.py runs it too."""

import subprocess
from pathlib import Path

import pytest

from boards.build import FIRMWARE, build_tree

SCRIPT = Path(__file__).parent / "upy" / "heap_of_code.py"
ROLES = sorted(path.stem for path in (FIRMWARE / "node" / "roles").glob("*.py") if not path.stem.startswith("_"))
KINDS = [role for role in ROLES if (FIRMWARE / "wire" / "kinds" / f"{role}.py").exists()]
CODE_BYTES = {
    "ble": 114_000,
    "lora": 146_000,
    "serial": 102_000,
}  # of the 64-bit Unix port; a microcontroller needs about half


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tree(tmp_path_factory.mktemp("built") / "tree")


@pytest.mark.parametrize("link", sorted(CODE_BYTES))
@pytest.mark.parametrize("role", KINDS)
def test_code_leaves_room_in_a_heap_of_256_kb(micropython: Path, tree: Path, role: str, link: str) -> None:
    command = [str(micropython), "-X", "heapsize=1m", str(SCRIPT), role, link, "sx126x"]
    env = {"MICROPYPATH": f"{tree}:.frozen"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    used = int(done.stdout)
    print(f"{role} on {link}: {used} bytes")
    assert used < CODE_BYTES[link]
