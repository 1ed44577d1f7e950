# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the status page is served with: uvicorn and Starlette, for whoever has a page."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from gateway.operate.web.access import Guard
from gateway.operate.web.app import Pages, read_positions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Pages", "read_positions", "server"]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the daemon."""
        yield


def server(
    pages: Pages, hosts: set[str], password: bytes | None, files: tuple[str | None, str | None]
) -> uvicorn.Server:
    """Return a server for some names of this machine. *files*: its certificate and its key, where it speaks TLS."""
    config = uvicorn.Config(
        Guard(pages.app(), hosts, password),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        http="h11",
        limit_concurrency=64,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=15,
        ssl_certfile=files[0],
        ssl_keyfile=files[1],
    )
    return _Server(config)
