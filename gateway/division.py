# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Where the state of each worker lies below the state directory, and which addresses lead elsewhere than they say.

A small file says how the state is divided; it is replaced in one step, by ``lykta-gateway divide``. Without it there is
one process, whose state is the directory itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import NotDivided
from gateway.network import state_files

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "workers.json"
ROUTES = "addresses.json"
FRONT = "front"


@dataclass(frozen=True, slots=True)
class Division:
    """How the state is divided: among how many, and below which folder."""

    count: int
    folder: str


def read(root: Path) -> Division | None:
    """Return how the state below *root* is divided; None where it never was. Raises NotDivided: nobody can tell."""
    path = root / MARKER
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Division(int(found["count"]), str(found["folder"]))
    except PermissionError:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NotDivided(
            f"{path} does not say how the state is divided ({error}). Nothing starts, because two workers could use "
            f"the same counters. Restore that file from a backup; it names the newest of the folders beside it"
        ) from error


def write(root: Path, division: Division) -> None:
    """From now on the state is divided like this; whole or not at all. Raises OSError."""
    state_files.save(root / MARKER, {"count": division.count, "folder": division.folder})


def sources(root: Path) -> list[Path]:
    """Return where the state is now, worker by worker."""
    found = read(root)
    if found is None:
        return [root]
    return [root / found.folder / f"worker-{number}" for number in range(1, found.count + 1)]


def place(root: Path, count: int, worker: int) -> Path:
    """Return the state directory of a worker, from 1, of *count*; of one process, 0 of 1. Raises NotDivided."""
    if count > 1 and not worker:
        raise NotDivided(f"{count} workers are configured, each with its own state; say which: --worker 1 to {count}")
    if worker > count or (worker and count == 1):
        raise NotDivided(f"worker {worker} is not configured: [workers] count is {count}")
    found = read(root)
    if found is None and count == 1:
        return root
    if found is None or found.count != count:
        have = "one process" if found is None or found.count == 1 else f"{found.count} workers"
        want = "one process" if count == 1 else f"{count} workers"
        raise NotDivided(
            f"The state in {root} is that of {have}, and the configuration asks for {want}. Devices would have to join "
            f"again, and readings would be taken twice. Next, with the gateway stopped: lykta-gateway divide"
        )
    return root / found.folder / f"worker-{worker or 1}"


def routes(root: Path) -> dict[int, int]:
    """Return the worker, from 0, of each address that does not lead there by itself. Raises NotDivided."""
    found = read(root)
    if found is None or found.count == 1:
        return {}
    path = root / found.folder / ROUTES
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        return {int(address): int(worker) for address, worker in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise NotDivided(
            f"{path} cannot be read ({error}); without it frames of devices that joined before would go astray. "
            f"Restore it from a backup, or divide again: lykta-gateway divide --again"
        ) from error
