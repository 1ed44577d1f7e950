# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Messages from files: a CBOR sequence (RFC 8742) of envelopes, or a directory of .cose and .pem files."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from consumer.errors import Malformed
from consumer.strict_cbor import MAX_BYTES, end_of_item
from provisioning.errors import ConfigError

MESSAGE_SUFFIX: Final = ".cose"
CERTIFICATE_SUFFIX: Final = ".pem"
_TAG_SIGN1: Final = 0xD2


def messages(path: Path) -> Iterator[bytes]:
    """Every message in the order of the sequence, or of the file names. What is no CBOR is yielded whole, last."""
    if path.is_dir():
        for file in sorted(path.glob(f"*{MESSAGE_SUFFIX}")):
            yield _read(file)
    else:
        yield from _sequence(path)


def certificates(path: Path) -> Iterator[bytes]:
    """The .pem files in a directory; nothing for a single file."""
    if path.is_dir():
        for file in sorted(path.glob(f"*{CERTIFICATE_SUFFIX}")):
            yield _read(file)


def _sequence(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield from _split(data)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _split(data: mmap.mmap) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        window = data[start : start + MAX_BYTES]
        try:
            end = end_of_item(window, 1 if window[0] == _TAG_SIGN1 else 0)
        except Malformed:  # where the next message would begin is unknown
            yield window
            return
        yield window[:end]
        start += end


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)  # one more than a verifier takes, so that it says so
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"The file with messages cannot be read: {error}",
        value=path,
        next_step="name a file of messages one after another, or a directory of .cose files",
    )
