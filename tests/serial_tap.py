# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A wire tap: sits between a board's port and a gateway's, passes every byte on and keeps every frame that it hears."""

import os
import select
import threading
import tty
from pathlib import Path

from firmware.wire import cobs_stream, frame


class SerialTap:
    """Opens *board_port* (again, when it comes back) and offers *gateway_port*; a thread copies both ways.

    ``up`` and ``down`` hold the PHYPayloads in the order in which they passed.
    """

    def __init__(self, board_port: Path, gateway_port: Path) -> None:
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self._board_port = board_port
        self._gateway_port = gateway_port
        self._stop_read, self._stop_write = os.pipe()
        self._master, self._slave = os.openpty()  # the slave stays open, so that the gateway may come and go
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        gateway_port.symlink_to(os.ttyname(self._slave))
        self._thread = threading.Thread(target=self._run, name="serial-tap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop copying and remove the port. Once is enough."""
        if not self._thread.is_alive():
            return
        os.write(self._stop_write, b"x")
        self._thread.join(timeout=10)
        self._gateway_port.unlink()
        for descriptor in (self._stop_read, self._stop_write, self._master, self._slave):
            os.close(descriptor)

    def _run(self) -> None:
        while not self._stopped(0.05):
            try:
                board = os.open(self._board_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            except OSError:
                continue  # not there yet, or unplugged
            try:
                tty.setraw(board)
                self._copy(board)
            except OSError:
                continue  # pulled out
            finally:
                os.close(board)

    def _copy(self, board: int) -> None:
        up, down = cobs_stream.Deframer(frame.MAX_PHY), cobs_stream.Deframer(frame.MAX_PHY)
        while True:
            ready, _, _ = select.select([board, self._master, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            for source, target, deframer, heard in (
                (board, self._master, up, self.up),
                (self._master, board, down, self.down),
            ):
                if source in ready:
                    data = os.read(source, 4096)
                    if not data:
                        raise OSError("hang-up")
                    heard += deframer.feed(data)
                    _write_all(target, data)

    def _stopped(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._stop_read], [], [], timeout_s)
        return bool(ready)


def _write_all(target: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(target, data) :]
        except BlockingIOError:
            select.select([], [target], [], 1)
