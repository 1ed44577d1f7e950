# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Control socket of a running board: JSON lines over a Unix socket. The hands at the bench, for other processes."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from boards.errors import BoardsError, PortError
from boards.virtual.board import VirtualBoard

LINE_BYTES = 65_536


async def _power_cut(board: VirtualBoard, request: dict[str, Any]) -> None:
    await board.power_cut(request.get("after_flash_operations"))


async def _noise(board: VirtualBoard, request: dict[str, Any]) -> None:
    await board.inject_noise(bytes.fromhex(request["hex"]))


async def _stimulus(board: VirtualBoard, request: dict[str, Any]) -> None:
    value = request["value"]
    await board.stimulus(str(request["name"]), None if value is None else float(value))


async def _nothing(board: VirtualBoard, request: dict[str, Any]) -> None:
    pass


COMMANDS: dict[str, Callable[[VirtualBoard, dict[str, Any]], Awaitable[None]]] = {
    "power_cut": _power_cut,
    "power_on": lambda board, request: board.power_on(),
    "reset": lambda board, request: board.reset(),
    "unplug": lambda board, request: board.unplug(),
    "replug": lambda board, request: board.replug(),
    "noise": _noise,
    "stimulus": _stimulus,
    "state": _nothing,
}


async def execute(board: VirtualBoard, line: bytes) -> dict[str, Any]:
    """One request; the answer has ok, and either state or error."""
    try:
        request = json.loads(line)
        name = request["cmd"]
        if name not in COMMANDS:
            return {"ok": False, "error": f"no command {name!r}; known: {', '.join(COMMANDS)}"}
        await COMMANDS[name](board, request)
    except KeyError as e:
        return {"ok": False, "error": f"the request lacks {e.args[0]!r}"}
    except (BoardsError, ValueError, TypeError, LookupError) as e:
        return {"ok": False, "error": str(e) or type(e).__name__}
    return {"ok": True, "state": board.state()}


async def serve(board: VirtualBoard, path: Path) -> asyncio.Server:
    """Listen at path, for this user only; PortError."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await execute(board, line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # ValueError: a line longer than LINE_BYTES
            pass
        finally:
            writer.close()

    _remove_stale(path)
    try:
        old_mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(client, path, limit=LINE_BYTES)
        finally:
            os.umask(old_mask)
    except OSError as e:
        why = e.strerror or e
        raise PortError(f"cannot listen at the control socket {path}: {why}. Choose another --control.") from e
    return server


def _remove_stale(path: Path) -> None:
    if path.is_socket():
        path.unlink()


async def send(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """One request to a running board; PortError if none listens."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
    except OSError as e:
        raise PortError(f"no board listens at {path}: {e.strerror}. Start one with: run ... --control {path}") from e
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise PortError(f"the board at {path} went away without an answer")
    decoded: dict[str, Any] = json.loads(answer)
    return decoded
