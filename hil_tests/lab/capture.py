# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What was heard of a board while it was tested: its console as text, and every frame, by whatever way it came."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from firmware.wire import cobs_stream, frame
from firmware.wire.errors import WireError

MIN_FRAME_BYTES = 12  # MHDR, DevAddr, FCtrl, FCnt, MIC (TS001 section 4)
MAX_KEPT = 20_000
RADIO = "radio"
"""The name of what a gateway heard, of whichever board."""
_TYPES = {
    frame.JOIN_REQUEST: "join request",
    frame.JOIN_ACCEPT: "join accept",
    frame.UNCONFIRMED_UP: "up",
    frame.CONFIRMED_UP: "confirmed up",
    frame.UNCONFIRMED_DOWN: "down",
    frame.CONFIRMED_DOWN: "confirmed down",
}


class Capture:
    """The log of one board, in files: <name>.log and <name>.frames.jsonl. Only what the board sends is in them."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self.file = folder / f"{name}.frames.jsonl"
        self.log.touch()
        self.file.touch()
        self.frames: list[dict[str, Any]] = []
        self.test = ""
        self._heading = b""
        self._deframer = cobs_stream.Deframer()
        self._lock = threading.Lock()

    def begin(self, test: str) -> None:
        """From here on it is this test; the log says so before the next thing that the board says."""
        with self._lock:
            self.test = test
            self._heading = f"\n---- {test}\n".encode()

    def said(self, data: bytes) -> None:
        """What its console says, where its frames come another way."""
        with self._lock:
            self._write(data)

    def heard(self, data: bytes) -> None:
        """Bytes of its serial line."""
        with self._lock:
            self._write(data)
            for phy in self._deframer.feed(data):
                self._frame(phy, "serial")

    def radio(self, phy: bytes, **how: Any) -> None:
        """A frame that a gateway heard; *how*: sf, freq_hz, rssi_dbm, snr_db."""
        with self._lock:
            self._frame(phy, "lora", **how)

    def _write(self, data: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(self._heading + data)
        self._heading = b""

    def _frame(self, phy: bytes, link: str, **how: Any) -> None:
        if len(phy) < MIN_FRAME_BYTES or len(self.frames) >= MAX_KEPT:
            return
        try:
            kind = _TYPES.get(frame.mtype(phy), "other")
        except WireError:
            return
        entry = {"at_s": round(time.time(), 3), "test": self.test, "link": link, "type": kind, **how, "phy": phy.hex()}
        self.frames.append(entry)
        with self.file.open("a") as file:
            file.write(json.dumps(entry) + "\n")
