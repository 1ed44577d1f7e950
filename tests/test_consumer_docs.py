# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The example of docs/consuming.md runs as it stands, on nothing but the consumer and its two libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.signing_gateway import DEVICE, City

ROOT = Path(__file__).parent.parent
FORBIDDEN = """
import importlib.abc, sys
sys.path.insert(0, {root!r})
class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "boards firmware gateway provisioning pydantic sqlalchemy paho".split():
            raise AssertionError("imported " + name)
sys.meta_path.insert(0, Guard())
"""


def run_example(folder: Path, number: int) -> list[str]:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/consuming.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    city = City()
    gateway = city.gateway()
    (folder / "ca.cert.pem").write_bytes(city.pem)
    (folder / "gateway.cert.pem").write_bytes(gateway.pem)
    (folder / "message.cose").write_bytes(gateway.sign_next(2))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORBIDDEN.format(root=str(ROOT)) + blocks[number]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_runs(tmp_path: Path) -> None:
    lines = run_example(tmp_path, 0)
    assert lines[0].startswith(f"{DEVICE} 1 ")
    assert len(lines) == 3
    assert '"clean":true' in lines[2]


def test_the_durable_example_runs(tmp_path: Path) -> None:
    lines = run_example(tmp_path, 1)
    assert [line.split()[1:3] for line in lines] == [[DEVICE, "1"], [DEVICE, "2"]]
    assert (tmp_path / "received.sqlite").exists()
