# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Hands at the bench: a command, or a person who is asked. What nobody can do is not run, and says why."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time

import pytest

from hil_tests.lab.file import PERSON, Switch

COMMAND_S = 60


class HandsFailed(RuntimeError):
    """A command of the lab's file did not do what it is there for."""


def do(command: str, wish: str) -> str:
    """Run a command and return what it printed, or ask a person; without one the test is not run."""
    if command == PERSON:
        if not sys.stdin.isatty():
            pytest.skip(f"not run: somebody has to {wish}; name a command in the lab's file, or run pytest with -s")
        return input(f"\nPlease {wish}, then press Enter. ")
    try:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HandsFailed(f"to {wish}: {command!r} cannot be run: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-300:]
        raise HandsFailed(f"to {wish}: {command!r} ended with exit code {done.returncode}: {said}")
    return done.stdout


def switch(table: Switch, on: bool, what: str) -> None:
    """Switch something on or off, and give it its time."""
    do(table.on if on else table.off, f"switch {what} {'on' if on else 'off'}")
    time.sleep(table.settle_s)


def measured(reference: float | str, field: str) -> float:
    """What the instrument beside a sensor reads."""
    if not isinstance(reference, str):
        return reference
    said = do(reference, f"read {field} off the reference instrument and type the number")
    try:
        return float(said.split()[0].replace(",", "."))
    except (IndexError, ValueError):
        raise HandsFailed(f"the reference of {field} said no number: {said.strip()[:80]!r}") from None
