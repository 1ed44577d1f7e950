# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The emulated microcontroller: where its tools cannot be had nothing is built, and nothing passes."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNAVAILABLE = 69
"""EX_UNAVAILABLE, for which .ci/run says "NOT RUN"."""


def test_a_computer_without_the_tools_is_told_what_it_lacks(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "env", "id"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    command = [str(tmp_path / "bash"), str(ROOT / "tools" / "cortexm.sh")]
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == UNAVAILABLE, done.stderr
    assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc" in done.stderr
    assert f"\n  {UNAVAILABLE} | 124) " in (ROOT / ".ci" / "run").read_text()
