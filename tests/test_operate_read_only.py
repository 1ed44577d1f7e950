# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What stands in the state directory besides databases, where its disk takes nothing: control socket and lock."""

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import AlreadyRunning, NotRunning
from gateway.operate import control, lock


async def _well() -> dict[str, Any]:
    return {"ready": False}


def test_the_control_socket_stands_in_memory_and_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, folder = tmp_path / "state", tmp_path / "run" / "lykta-gateway"
    state.mkdir()
    folder.mkdir(parents=True)
    bound = control._bound

    def read_only(at: Path) -> socket.socket:
        if at.parent == state:
            raise OSError(errno.EROFS, "Read-only file system")
        return bound(at)

    monkeypatch.setattr(control, "_bound", read_only)

    async def body() -> None:
        made = control.Control(state, {"status": _well})
        with pytest.raises(OSError, match="Read-only"):  # not a service: there is no such folder
            await made.open()
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
        await made.open()
        assert await asyncio.to_thread(control.ask, state, "status", tmp_path / "run") == {"ready": False}
        with pytest.raises(NotRunning):
            await asyncio.to_thread(control.ask, folder.parent, "status", tmp_path / "run")
        await made.close()
        assert list(folder.iterdir()) == list(state.iterdir()) == []

    asyncio.run(body())


@pytest.mark.parametrize("there", [True, False], ids=["with its file", "without"])
def test_the_lock_holds_where_its_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    if there:
        (tmp_path / lock.FILE_NAME).write_text("4711\n")
    opened = os.open

    def read_only(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(lock, "_holder", lambda state_dir: "4711")
    with lock.only_one(tmp_path), pytest.raises(AlreadyRunning, match="4711"), lock.only_one(tmp_path):
        pass
    with lock.only_one(tmp_path):
        assert (tmp_path / lock.FILE_NAME).exists() == there
