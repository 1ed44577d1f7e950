# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Files under one folder, each operation durable when it returns. Only here does the node touch a filesystem."""

import errno
import gc
import os

_SPARE_BYTES = 1408  # littlefs wants about 1200 in one piece for an open file


class Files:
    """Whole-file operations below *root*. Names are relative; OSError passes through, except "there is none"."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._spare: bytearray | None = None
        self._make(root)
        self._keep_spare()

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
        with self._open(name, "rb") as file:
            file.seek(offset)
            data = file.read(size)
        del file
        self._keep_spare()
        return data

    def size(self, name: str) -> int:
        """Return the length in bytes. Raises OSError."""
        return os.stat(self._root + "/" + name)[6]

    def write(self, name: str, data: bytes) -> None:
        """Replace the content."""
        self._put(name, "wb", data)

    def append(self, name: str, data: bytes) -> None:
        """Add to the end; the file is made when there is none."""
        self._put(name, "ab", data)

    def write_at(self, name: str, offset: int, data: bytes) -> None:
        """Replace bytes in the middle. Raises OSError."""
        with self._open(name, "r+b") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
        del file
        self._keep_spare()

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

    def _put(self, name: str, mode: str, data: bytes) -> None:
        with self._open(name, mode) as file:
            file.write(data)
            file.flush()  # littlefs and FAT commit here; a power cut later cannot take it back
        del file  # before anything else lies where it was
        self._keep_spare()

    def _open(self, name: str, mode: str):
        """Open a file, in the piece of memory kept for that where the rest of the heap lies in smaller ones."""
        path = self._root + "/" + name
        try:
            return open(path, mode)
        except MemoryError:
            self._spare = None
            gc.collect()
            return open(path, mode)

    def _keep_spare(self) -> None:
        if self._spare is None:
            try:
                self._spare = bytearray(_SPARE_BYTES)
            except MemoryError:
                pass  # the next time, perhaps

    def _make(self, path: str) -> None:
        try:
            os.mkdir(path)
        except OSError as error:
            if error.args[0] != errno.EEXIST:
                raise
