# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The demo's Bluetooth: an air of virtual controllers, and the gateway's adapter in it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from provisioning.errors import DemoError

_BACKEND: Final = "boards.virtual.ble.bleak_backend:AIR"
_SOCKET: Final = "LYKTA_BLE_AIR"  # where that backend looks for it


class BluetoothAir:
    """The air, for as long as its process runs."""

    def __init__(self, home: Path) -> None:
        """Raise DemoError without the package that it takes."""
        if find_spec("bumble") is None:
            raise DemoError(
                "The virtual Bluetooth needs the package bumble, which is not installed.",
                next_step="tools/venv.sh virtual, which make demo LINK=all does as well",
            )
        self.socket = home / "ble.sock"

    @property
    def ready(self) -> bool:
        """Whether adapters and boards may enter."""
        return self.socket.exists()

    def command(self) -> list[str]:
        """The command that runs it."""
        return [sys.executable, "-m", "boards.virtual.ble", "--socket", str(self.socket)]

    def environment(self) -> dict[str, str]:
        """What the gateway needs to find it."""
        return {_SOCKET: str(self.socket)}

    def board_options(self) -> list[str]:
        """What puts a board into it."""
        return [f"--ble-air={self.socket}"]

    @staticmethod
    def use(config: Path) -> None:
        """Have a gateway's Bluetooth link use it instead of BlueZ."""
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace('type = "ble"\n', f'type = "ble"\nbackend = "{_BACKEND}"\n'), encoding="utf-8")
