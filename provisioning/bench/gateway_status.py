# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a gateway on this computer has heard of its devices: asked through the socket of each process."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from provisioning.bench.errors import NoGateway
from provisioning.bench.gateway_parts import Part, front_of, workers

SOCKET_FILE: Final = "control.sock"
_REQUEST: Final = b"status\n"
_PATIENCE_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Sighting:
    """A device as a gateway heard it last. Radio figures are None where it came by cable or Bluetooth."""

    dev_eui: str
    frames: int
    heard_at: float
    link: str
    kind: str = ""
    name: str = ""
    sf: int | None = None
    rssi_dbm: float | None = None
    snr_db: float | None = None
    freq_hz: int | None = None
    seq: int | None = None
    """Of its last reading; None: none came yet."""
    values: dict[str, Any] = field(default_factory=dict)


def sightings(path: Path) -> list[Sighting]:
    """The devices that a running gateway heard, the newest first. *path*: its configuration or its state directory.

    Of several workers all must run, and the front before them. Raises NoGateway.
    """
    front = front_of(path)
    if front is not None:
        asked(front)
    found, away = look(path)
    if away:
        raise away[0]
    return found


def look(path: Path) -> tuple[list[Sighting], list[NoGateway]]:
    """The same of those of its processes that answer, and what is wrong with the others.

    Raises NoGateway when it cannot be told which they are.
    """
    merged: dict[str, Sighting] = {}
    away = []
    for part in workers(path):
        try:
            devices = asked(part).get("devices", [])
        except NoGateway as error:
            away.append(error)
            continue
        for each in (_sighting(each) for each in devices if isinstance(each, dict)):
            other = merged.get(each.dev_eui, each)  # of another worker: before the state was divided anew
            newest = max(each, other, key=lambda sighting: sighting.heard_at)
            frames = each.frames if other is each else each.frames + other.frames
            merged[each.dev_eui] = replace(newest, frames=frames)
    return sorted(merged.values(), key=lambda sighting: sighting.heard_at, reverse=True), away


def asked(part: Part) -> dict[str, Any]:
    """The whole overview that one process of a gateway gives. Raises NoGateway."""
    try:
        line = _answer(part.folder)
        answer: dict[str, Any] = json.loads(line)
    except PermissionError as error:
        raise NoGateway(
            "You may not ask this gateway.",
            value=part.folder / SOCKET_FILE,
            reason="Its socket is open to its own user and to root only.",
            next_step="sudo -u lykta-gateway lykta ..., or sudo",
        ) from error
    except (OSError, ValueError) as error:
        what = f"The {part.name} of this gateway does not run." if part.name else ""
        raise NoGateway(
            what or "No gateway runs on this state directory.",
            value=part.folder,
            reason=str(error),
            next_step=f"start it: systemctl start {part.unit}; lykta-gateway status says how it is",
        ) from error
    return answer


def _answer(directory: Path) -> bytes:
    """The path of a Unix socket is short: it is named through the directory's descriptor."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_PATIENCE_S)
            line.connect(f"/proc/self/fd/{descriptor}/{SOCKET_FILE}")
            line.sendall(_REQUEST)
            with line.makefile("rb") as answers:
                return answers.readline(_MAX_ANSWER_BYTES)
    finally:
        os.close(descriptor)


def _sighting(found: dict[str, Any]) -> Sighting:
    return Sighting(
        dev_eui=str(found.get("dev_eui", "")),
        frames=int(found.get("frames", 0)),
        heard_at=float(found.get("heard_at") or 0),
        link=str(found.get("link", "")),
        kind=str(found.get("kind", "")),
        name=str(found.get("name", "")),
        sf=found.get("sf"),
        rssi_dbm=found.get("rssi_dbm"),
        snr_db=found.get("snr_db"),
        freq_hz=found.get("freq_hz"),
        seq=found.get("seq"),
        values=dict(found.get("values") or {}),
    )
