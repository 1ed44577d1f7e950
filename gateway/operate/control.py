# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A socket in the state directory for whoever may read it: ``status`` and ``reload``, one line in, one JSON line out.

Its mode (0600, in a directory of 0700) is the access control: the daemon's own user and root.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import NotRunning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    Handler = Callable[[], Awaitable[Mapping[str, Any]]]

SOCKET_FILE = "control.sock"
RUN = Path("/run")
_RUNTIME_FOLDERS = "lykta-gateway*"
"""What the units' RuntimeDirectory makes."""
_MAX_LINE_BYTES = 256
_PATIENCE_S = 10.0
_MAX_ANSWER_BYTES = 64 << 20


@contextmanager
def _short_path(at: Path) -> Iterator[str]:
    """Yield a path of the socket that fits into sun_path (108 bytes), however deep its directory lies."""
    descriptor = os.open(at.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{at.name}"
    finally:
        os.close(descriptor)


class Control:
    """The daemon's end. One connection, one request."""

    def __init__(self, directory: Path, handlers: Mapping[str, Handler]) -> None:
        self._directory = directory
        self._handlers = handlers
        self._at = directory / SOCKET_FILE
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. What an earlier process left there is removed: the lock says that it is gone.

        Where the state's disk takes nothing, in the folder that systemd made in memory. Raises OSError.
        """
        try:
            await self._listen(self._directory / SOCKET_FILE)
        except OSError as error:
            folder = os.environ.get("RUNTIME_DIRECTORY", "")
            if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO) or not folder.startswith("/"):
                raise
            await self._listen(Path(folder) / _elsewhere(self._directory))

    async def _listen(self, at: Path) -> None:
        listening = _bound(at)
        self._at = at
        self._server = await asyncio.start_unix_server(self._answer, sock=listening, limit=_MAX_LINE_BYTES)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._server.wait_closed()
            self._at.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                word = (await reader.readline()).decode("ascii", "replace").strip()
                handler = self._handlers.get(word)
                if handler is None:
                    answer: Mapping[str, Any] = {"error": f"unknown request; there are: {', '.join(self._handlers)}"}
                else:
                    answer = await handler()
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # whoever asked went away, or asked too much
        finally:
            writer.close()


def _bound(at: Path) -> socket.socket:
    at.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(at) as path:
            made.bind(path)
        at.chmod(0o600)
    except OSError:
        made.close()
        raise
    return made


def _elsewhere(directory: Path) -> str:
    """Return the name of the socket of a state directory in a folder that is not its own."""
    return f"{hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]}.sock"


def ask(directory: Path, word: str, run: Path = RUN) -> dict[str, Any]:
    """Ask the daemon of a state directory. Raises NotRunning, OSError."""
    try:
        return _ask(directory / SOCKET_FILE, word)
    except NotRunning:
        for at in sorted(run.glob(f"{_RUNTIME_FOLDERS}/{_elsewhere(directory)}")):
            with suppress(NotRunning):
                return _ask(at, word)
        raise


def _ask(at: Path, word: str) -> dict[str, Any]:
    directory = at.parent
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened, _short_path(at) as path:
            opened.settimeout(_PATIENCE_S)
            opened.connect(path)
            opened.sendall(word.encode() + b"\n")
            with opened.makefile("rb") as answers:
                line = answers.readline(_MAX_ANSWER_BYTES)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NotRunning(
            f"no gateway runs on {directory}; next: systemctl status lykta-gateway (or start it: lykta-gateway run)"
        ) from error
    except PermissionError as error:
        raise PermissionError(f"{at} is open to the gateway's own user and to root only; try sudo") from error
    if not line:
        raise TimeoutError(f"the gateway of {directory} took the question and gave no answer")
    answer: dict[str, Any] = json.loads(line)
    return answer
