# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A gateway has in memory what its configuration asks for, and no server of a page that nobody reads."""

import subprocess
import sys


def loaded(code: str) -> set[str]:
    """Names of the packages that a fresh Python has loaded after *code*."""
    program = f"import sys; {code}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_only_the_status_page_needs_what_serves_it() -> None:
    web = {"uvicorn", "starlette", "click"}
    assert not loaded("import gateway.cli, gateway.daemon") & web
    assert web <= loaded("import gateway.operate.web.serving")
