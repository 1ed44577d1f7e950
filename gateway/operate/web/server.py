# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The status page inside the daemon: opened again when its port cannot be had, closed at once when the daemon ends.

What serves it (``serving``) is loaded where the configuration asks for a page: 3 MB that others need not have.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gateway.errors import GatewayError
from gateway.operate.logs import EventLog, Seldom
from gateway.operate.web.absence import absence
from gateway.operate.web.settings import OperateSection, parse_listen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.operate.web.source import Source

_RETRY_S = 5.0
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_SERVING = "gateway.operate.web.serving"


class StatusPage:
    """The server of one configuration after the other."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._log = EventLog("operate.web")
        self._seldom = Seldom(60.0)
        self._changed = asyncio.Event()
        self._settings = OperateSection()
        self._base: Path | None = None
        self._secret: Callable[[str], bytes] = lambda _: b""
        self.bound: tuple[str, int] | None = None
        """Where it listens now."""
        self._open: tuple[str, socket.socket] | None = None
        self._absent: dict[str, str] | None = None

    def status(self) -> dict[str, Any]:
        """Where the page is to be (``listen``; empty: nowhere), and ``absent``: why it is not there, and what to do."""
        return {"listen": self._settings.listen, "absent": self._absent}

    def configure(self, settings: OperateSection, base: Path, secret: Callable[[str], bytes]) -> None:
        """Go on with these settings, and with what their files say now."""
        self._settings, self._base, self._secret = settings, base, secret
        self._absent = None  # what was in the way of the one before says nothing of this one
        self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                self._changed.clear()
                if self._settings.listen:
                    await self._serve_or_say_why(self._settings)
                else:
                    self._shut()
                    await self._changed.wait()
        finally:
            self._shut()

    async def _serve_or_say_why(self, settings: OperateSection) -> None:
        try:
            await self._serve(settings)
        except (OSError, ValueError, GatewayError) as error:
            self._shut()  # whoever asks is refused and need not wait
            if settings is self._settings:
                self._absent = absence(settings.listen, error, again_s=_RETRY_S)
            if self._seldom.allow("absent") is not None:
                self._log.warning("status_page_absent", listen=settings.listen, why=error)
            await self._wait(_RETRY_S)

    def _listening(self, listen: str) -> socket.socket:
        """Return the socket of an address; it outlives a reload, so that whoever asks meanwhile waits a moment."""
        if self._open is None or self._open[0] != listen:
            self._shut()
            address, port = parse_listen(listen)
            self._open = listen, socket.create_server((str(address), port), family=_family(address.version))
        return self._open[1]

    def _shut(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    async def _serve(self, settings: OperateSection) -> None:
        address, _ = parse_listen(settings.listen)
        password, token = (None if each is None else self._secret(each) for each in (settings.password, settings.token))
        serving = await asyncio.to_thread(import_module, _SERVING)
        hosts = {*_LOOPBACK_NAMES, str(address), *settings.hosts}
        opened = self._listening(settings.listen).dup()  # the server closes its own
        try:
            pages = serving.Pages(self._source, token, settings.devices, self._positions(settings, serving))
            files = self._file(settings, "cert"), self._file(settings, "key")
            server = serving.server(pages, hosts, password, files)
            self.bound, self._absent = opened.getsockname()[:2], None
            self._log.info("status_page", listen=f"{self.bound[0]}:{self.bound[1]}", tls=settings.tls is not None)
            served = asyncio.ensure_future(server.serve(sockets=[opened]))
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait([served, changed], return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
                pages.ended.set()
                server.should_exit = True
                await served
        finally:
            self.bound = None
            opened.close()

    def _file(self, settings: OperateSection, name: str) -> str | None:
        return None if settings.tls is None or self._base is None else str(self._base / getattr(settings.tls, name))

    def _positions(self, settings: OperateSection, serving: Any) -> dict[str, tuple[float, float]]:
        if settings.positions is None or self._base is None:
            return {}
        path = self._base / settings.positions
        try:
            found: dict[str, tuple[float, float]] = serving.read_positions(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # a map without devices is better than no page
            self._log.warning("positions_unread", file=path, why=error)
            return {}
        return found

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6
