# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Processes of the demo: each in a group of its own, its output in a log, ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from provisioning.errors import DemoError

ROOT: Final = Path(__file__).parent.parent.parent
_LOG_TAIL: Final = 12


class Child:
    """A running process. Leaving its `with` block ends it and everything that it started."""

    def __init__(self, name: str, command: list[str], logs: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._asked = False
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        # Should this process be killed outright, the system ends its children.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*prefix, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(environment or {})},
                )
        except OSError as error:
            raise DemoError(f"The {name} cannot be started: {error.strerror}.", value=command[0]) from error

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(timeout_s=5)

    def check(self) -> None:
        """Raise DemoError when the process has ended by itself."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(
                f"The {self.name} ended by itself.",
                value=f"exit code {code}",
                reason=self.tail(),
                next_step=f"read {self.log}",
            )

    def ask(self) -> None:
        """Ask the process to end, once, and do not wait: a second request could cut its tidying up short."""
        if not self._asked:
            self._asked = True
            self._process.terminate()

    def stop(self, timeout_s: float) -> bool:
        """Ask the process to end, then make it; end what it left behind. True when it ended as asked, with code 0."""
        self.ask()
        try:
            orderly = self._process.wait(timeout_s) in (0, -signal.SIGTERM)
        except subprocess.TimeoutExpired:
            orderly = False
        with contextlib.suppress(ProcessLookupError):  # nothing was left behind
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout_s)
        return orderly

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL:])


def run_briefly(command: list[str], timeout_s: float) -> str:
    """The output of a short command. Raises DemoError."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.CalledProcessError as error:
        raise DemoError(f"{' '.join(command[1:4])} failed.", value=error.returncode, reason=error.stderr) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"{' '.join(command[1:4])} failed: {error}") from error
    return done.stdout
