# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The machine's Bluetooth adapter as a thing that can be pulled: between QEMU and the virtual air."""

import contextlib
import select
import socket
import threading
from pathlib import Path
from types import TracebackType


class Dongle:
    """Each time it is plugged in it is a new controller in the *air*; QEMU connects to ``socket`` and tries again."""

    def __init__(self, socket_path: Path, air: Path) -> None:
        self.socket = socket_path
        self._air = air
        self._pulled = threading.Event()
        self._ended = False

    def __enter__(self) -> "Dongle":
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(1)
        self._listener.settimeout(0.2)
        self._thread = threading.Thread(target=self._serve, name="dongle")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join(10)
        self._listener.close()

    def pull(self) -> None:
        """Gone, in the middle of whatever it did."""
        self._pulled.set()

    def plug(self) -> None:
        """There again."""
        self._pulled.clear()

    def _serve(self) -> None:
        while not self._ended:
            if self._pulled.wait(0.05):
                continue
            with contextlib.suppress(OSError):
                machine, _ = self._listener.accept()
                with machine, socket.socket(socket.AF_UNIX) as air:
                    air.connect(str(self._air))
                    self._carry(machine, air)

    def _carry(self, machine: socket.socket, air: socket.socket) -> None:
        while not self._ended and not self._pulled.is_set():
            for each in select.select([machine, air], [], [], 0.1)[0]:
                data = each.recv(65_536)
                if not data:
                    return
                (air if each is machine else machine).sendall(data)
