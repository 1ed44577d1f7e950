# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The processes of a gateway on this computer, and where the state of each lies.

One process keeps its state in the state directory itself. Where that holds ``workers.json``, the state is divided:
the file names a folder with one of ``worker-1`` … for each worker, and a front stands before them.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provisioning.bench.errors import NoGateway

MARKER: Final = "workers.json"
_FRONT: Final = "front"
_DEFAULT_STATE: Final = "state"


@dataclass(frozen=True)
class Part:
    """One process, and the folder of its state."""

    folder: Path
    name: str = ""
    """As a person says it: ``worker 2``, ``front``; nothing when there is but one process."""
    unit: str = "lykta-gateway"
    """The systemd service that it is, when it was installed as one."""
    option: str = ""
    """What a command of the operator's needs to mean this one."""


def workers(path: Path) -> list[Part]:
    """The processes that have devices, of a configuration or a state directory. Raises NoGateway."""
    root, wanted = _told(path)
    marker = root / MARKER
    if not marker.exists():
        if wanted not in (None, 1):
            raise _not_divided(root, "one process", wanted)
        return [Part(root)]
    try:
        found = json.loads(marker.read_text("utf-8"))
        count, folder = int(found["count"]), root / str(found["folder"])
    except PermissionError as error:
        raise NoGateway(
            "You may not look at this gateway's state.",
            value=marker,
            reason="It is open to the gateway's own user and to root only.",
            next_step="sudo -u lykta-gateway lykta ..., or sudo",
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoGateway(
            "Nobody can tell where the state of this gateway's workers lies.",
            value=marker,
            reason=f"It cannot be read: {error!r}.",
            next_step="restore that file from a backup; it names the newest of the folders beside it",
        ) from error
    if wanted not in (None, count):
        raise _not_divided(root, f"{count} workers" if count > 1 else "one process", wanted)
    if count == 1:
        return [Part(folder / "worker-1")]
    return [
        Part(folder / f"worker-{each}", f"worker {each}", f"lykta-gateway-worker@{each}", f" --worker {each}")
        for each in range(1, count + 1)
    ]


def front_of(path: Path) -> Part | None:
    """The process before several workers, which hears the radios; None where there is but one. Raises NoGateway."""
    if len(workers(path)) == 1:
        return None
    return Part(_told(path)[0] / _FRONT, "front", "lykta-gateway-front")


def _told(path: Path) -> tuple[Path, int | None]:
    """The state directory that a configuration names, and how many workers; a directory is one itself."""
    if path.is_dir():
        return path, None
    try:
        told: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        root = path.parent / str(told.get("gateway", {}).get("state_dir", _DEFAULT_STATE))
        return root, int(told.get("workers", {}).get("count", 1))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise NoGateway(
            "This is no gateway's configuration, and no state directory.",
            value=path,
            reason=str(error),
            next_step="name gateway.toml, or the directory that its state_dir names",
        ) from error


def _not_divided(root: Path, have: str, wanted: int | None) -> NoGateway:
    want = "one process" if wanted == 1 else f"{wanted} workers"
    return NoGateway(
        f"The gateway's state is that of {have}, and its configuration asks for {want}.",
        value=root / MARKER,
        reason="It does not start like this, and which process has which device cannot be told.",
        next_step="with the gateway stopped: lykta-gateway divide; or correct [workers] count",
    )
