# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Files that are made once, whole or not at all, and never overwritten."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from provisioning.errors import AlreadyExists, ProvisioningError

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644


def write_new(path: Path, data: bytes, mode: int = SECRET_MODE) -> None:
    """Create `path` with `data`, durably and atomically.

    The name appears only when the content is on disk. Raises AlreadyExists where the name is taken.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_synced(temporary, data, mode)
        try:
            # link() fails where the name exists, which rename() would silently replace.
            os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise AlreadyExists(
            "This file exists already and is never overwritten.",
            value=path,
            reason="Keys and certificates that are replaced by accident cannot be brought back.",
            next_step=f"choose another place, or move {path} away yourself",
        ) from error
    except OSError as error:
        raise ProvisioningError(
            f"Cannot write {path}: {error.strerror}.",
            next_step="check that the directory exists, is writable and has free space",
        ) from error


@contextmanager
def write_through(path: Path, mode: int = SECRET_MODE) -> Iterator[IO[str]]:
    """Write text into a new file; its name appears when the block ends well. Raises AlreadyExists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise AlreadyExists(
            "This file exists already and is never overwritten.", value=path, next_step="choose another name"
        ) from error
    except OSError as error:
        raise ProvisioningError(f"Cannot write {path}: {error.strerror}.") from error


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Create a directory and its parents; an existing one is left as it is."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ProvisioningError(f"Cannot make the directory {path}: {error.strerror}.") from error


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # the umask may have taken bits away from a public file
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
