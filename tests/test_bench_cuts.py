# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the bench writes on a board, on the real littlefs: a power cut at any flash operation costs no other file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from provisioning.bench import onboard, transfer
from provisioning.bench.board import CHUNK_BYTES, PART, Board
from tests.test_node_app import run

OLD = b"old"  # as tests/upy/bench_cuts.py has it


class Notes:
    """Stands at the end of the line, notes the code, and answers that all went well."""

    def __init__(self, understands: bytes) -> None:
        self._understands = understands
        self.codes: list[bytes] = []
        self.answers: list[bytes] = []

    def run(self, code: str | bytes, _timeout_s: float = 0) -> bytes:
        if code == transfer.question():
            return self._understands
        self.codes.append(code.encode() if isinstance(code, str) else code)
        return b"\n".join(self.answers)

    def ask(self, _code: str) -> Any:
        return []


@pytest.mark.parametrize("understands", [b"1 1", b"0 0"])
def test_a_power_cut_at_any_flash_operation_costs_no_other_file(
    micropython: Path, tmp_path: Path, seed: int, understands: bytes
) -> None:
    notes = Notes(understands)
    board = Board(notes)  # type: ignore[arg-type]  # all that it asks of a prompt
    large = bytes(range(256)) * (CHUNK_BYTES // 256 + 2)
    files = {
        "/data/b/firmware/one.mpy": b"1" * 700,
        "/data/b/firmware/links/two.mpy": b"2" * 300,
        "/data/b/large": large,
    }
    notes.answers = [hashlib.sha256(data).hexdigest().encode() for data in files.values()]
    board.put_all({path: data for path, data in files.items() if data is not large})
    notes.answers = notes.answers[2:]
    board.put("/data/b/large", large)
    notes.answers = [hashlib.sha256(OLD).hexdigest().encode()]
    board.copy("/data/b/old", "/data/b/copy", OLD)
    assert notes.codes[0] == onboard.HELPERS.encode()
    told = [(path, len(data)) for path, data in files.items()] + [("/data/b/copy", len(OLD))]
    plan = tmp_path / "plan.json"
    codes = [code.replace(PART.encode(), f"/data{PART}".encode()).hex() for code in notes.codes]  # where it mounts it
    plan.write_text(json.dumps({"codes": codes, "files": told}))
    run(micropython, "bench_cuts.py", str(plan), str(seed))
