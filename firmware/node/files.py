# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Files under one folder, each operation durable when it returns. Only here does the node touch a filesystem."""

import errno
import os

from firmware.node.lazy import keep, opened


class Files:
    """Whole-file operations below *root*. Names are relative; OSError passes through, except "there is none"."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._make(root)

    def read(self, name: str) -> bytes | None:
        """Return the content, or None when there is no such file."""
        try:
            return self.read_at(name, 0, -1)
        except OSError as error:
            if error.args[0] == errno.ENOENT:
                return None
            raise

    def read_at(self, name: str, offset: int, size: int) -> bytes:
        """Return up to *size* bytes from *offset* on; none behind the end. Nothing stays open. Raises OSError."""
        data = self._do(name, "rb", offset, size, None)
        keep()
        return data

    def size(self, name: str) -> int:
        """Return the length in bytes. Raises OSError."""
        return os.stat(self._root + "/" + name)[6]

    def write(self, name: str, data: bytes) -> None:
        """Replace the content."""
        self._do(name, "wb", 0, 0, data)
        keep()

    def append(self, name: str, data: bytes) -> None:
        """Add to the end; the file is made when there is none."""
        self._do(name, "ab", 0, 0, data)
        keep()

    def write_at(self, name: str, offset: int, data: bytes) -> None:
        """Replace bytes in the middle. Raises OSError."""
        self._do(name, "r+b", offset, 0, data)
        keep()

    def remove(self, name: str) -> None:
        """Delete the file. That it is gone already is fine."""
        try:
            os.remove(self._root + "/" + name)
        except OSError as error:
            if error.args[0] != errno.ENOENT:
                raise

    def names(self, folder: str) -> list[str]:
        """Return the names in *folder*, sorted; the folder is made when there is none."""
        path = self._root + "/" + folder
        self._make(path)
        return sorted(os.listdir(path))

    def _do(self, name: str, mode: str, offset: int, size: int, data: "bytes | None") -> bytes:
        with opened(self._root + "/" + name, mode) as file:
            if offset:
                file.seek(offset)
            if data is None:
                return file.read(size)
            file.write(data)
            file.flush()  # littlefs and FAT commit here; a power cut later cannot take it back
        return b""

    def _make(self, path: str) -> None:
        try:
            os.mkdir(path)
        except OSError as error:
            if error.args[0] != errno.EEXIST:
                raise
