# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a gateway on this computer has heard of its devices: asked through the socket in its state directory."""

from __future__ import annotations

import json
import os
import socket
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provisioning.bench.errors import NoGateway

SOCKET_FILE: Final = "control.sock"
_REQUEST: Final = b"status\n"
_PATIENCE_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 64 << 20
_DEFAULT_STATE: Final = "state"


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


def state_dir(path: Path) -> Path:
    """The state directory that a gateway's configuration names; a directory is one itself. Raises NoGateway."""
    if path.is_dir():
        return path
    try:
        told = tomllib.loads(path.read_text("utf-8")).get("gateway", {}).get("state_dir", _DEFAULT_STATE)
        return path.parent / str(told)
    except (OSError, ValueError, AttributeError) as error:
        raise NoGateway(
            "This is no gateway's configuration, and no state directory.",
            value=path,
            reason=str(error),
            next_step="name gateway.toml, or the directory that its state_dir names",
        ) from error


def sightings(directory: Path) -> list[Sighting]:
    """The devices that the gateway of a state directory heard, the newest first. Raises NoGateway."""
    found = asked(directory)
    return [_sighting(each) for each in found.get("devices", []) if isinstance(each, dict)]


def asked(directory: Path) -> dict[str, Any]:
    """The whole overview of the gateway of a state directory. Raises NoGateway."""
    try:
        line = _answer(directory)
        answer: dict[str, Any] = json.loads(line)
    except PermissionError as error:
        raise NoGateway(
            "You may not ask this gateway.",
            value=directory / SOCKET_FILE,
            reason="Its socket is open to its own user and to root only.",
            next_step="sudo -u lykta-gateway lykta ..., or sudo",
        ) from error
    except (OSError, ValueError) as error:
        raise NoGateway(
            "No gateway runs on this state directory.",
            value=directory,
            reason=str(error),
            next_step="start it: systemctl start lykta-gateway; lykta-gateway status says how it is",
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
