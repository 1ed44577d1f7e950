# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A radio chip's connection to the virtual air (docs/virtual-air.md). Without a site it says and hears nothing."""

import asyncio
import json
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from boards.errors import PortError
from boards.virtual.site import Site

log = logging.getLogger(__name__)


class AirLink:
    """Belongs to the event loop that open() ran in. `hear` gets every event of the receiver."""

    def __init__(
        self, site: Site | None, hear: Callable[[dict[str, Any]], None], complain: Callable[[str], None]
    ) -> None:
        self._site, self._hear, self._complain = site, hear, complain
        self._socket: socket.socket | None = None
        self._received = b""
        self._on_welcome: deque[Callable[[], None]] = deque()
        self.slack_us = 0

    @property
    def connected(self) -> bool:
        """Whether anybody is there."""
        return self._socket is not None

    def open(self) -> None:
        """Enter the air; PortError when none listens."""
        if self._site is None or self._site.air is None or self._socket is not None:
            return
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(self._site.air))
        except OSError as e:
            link.close()
            raise PortError(
                f"no air at {self._site.air}: {e.strerror}. Start one first: python -m boards.virtual.air --socket PATH"
            ) from e
        link.setblocking(False)
        self._socket, self._received = link, b""
        asyncio.get_running_loop().add_reader(link, self._read)
        self._hello(lambda: None)

    def close(self) -> None:
        """Leave the air at once, as when the power fails."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._on_welcome.clear()

    def say(self, **fields: object) -> None:
        """One message; the air's answers come later."""
        if self._socket is None:
            return
        try:
            self._socket.sendall(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        except OSError as e:
            log.warning("the air is gone: %s", e)
            self.close()

    def after_decisions(self, then: Callable[[], None]) -> None:
        """Call when everything has come that the air had to decide until now.

        The air answers a hello at once, even when a decision is due: its timers run after what it reads. They have
        run when it answers the next one.
        """
        if self._socket is None:
            then()
            return
        self._hello(lambda: self._hello(then))

    def _hello(self, on_welcome: Callable[[], None]) -> None:
        site = self._site
        if site is not None and self._socket is not None:
            self._on_welcome.append(on_welcome)
            self.say(op="hello", id=site.radio_id, x_m=site.x_m, y_m=site.y_m, antenna_dbi=site.antenna_dbi)

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            log.warning("the air closed the connection; this radio hears nothing any more")
            self.close()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if message["op"] == "welcome":
            self.slack_us = message["slack_us"]
            if self._on_welcome:
                self._on_welcome.popleft()()
        elif message["op"] == "error":
            self._complain(f"the air refused what the radio did: {message['error']}")
        else:
            self._hear(message)
