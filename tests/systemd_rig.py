# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The other end of NOTIFY_SOCKET, where systemd listens."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def listening() -> Iterator[tuple[str, socket.socket]]:
    """Listen; yield what NOTIFY_SOCKET is to be, and the socket, of which a read fails after 30 s of silence."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        name = f"lykta-test-{os.getpid()}-{time.monotonic_ns()}"
        opened.bind("\0" + name)
        opened.settimeout(30)
        yield "@" + name, opened


def heard(systemd: socket.socket, wanted: str) -> dict[str, str]:
    """Read until a message holds *wanted*."""
    while True:
        fields = dict(line.split("=", 1) for line in systemd.recv(4096).decode().splitlines())
        if wanted in fields:
            return fields


class Feeds:
    """How often the watchdog was fed. Read all the while: what nobody reads holds up who says it."""

    def __init__(self, systemd: socket.socket) -> None:
        self.count = 0
        self._socket = systemd
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):  # the test is over
            while True:
                self.count += b"WATCHDOG=1" in self._socket.recv(4096)
