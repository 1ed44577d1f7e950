# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""A pinned file from its address into the cache: goes on where it was cut, and counts only with the right SHA-256."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Final

from provisioning.bench.errors import NoImage

_TIMEOUT_S: Final = 60
_TRIES: Final = 6
_CHUNK_BYTES: Final = 65_536
_PARTIAL: Final = 206
_NOT_SATISFIABLE: Final = 416
_RANGE: Final = re.compile(r"bytes (\d+)-")


def fetch(file: str, url: str | None, kept: Path, sha256: str, max_bytes: int) -> Path:
    """Return *kept*, which holds what *url* gave. Raises NoImage: offline it says which file to bring, and where to."""
    where = f"from {url}" if url else "of the release"
    missing = NoImage(
        "The image is not on this computer.",
        value=file,
        reason=f"Its SHA-256 is {sha256}.",
        next_step=f"bring the file {where} and put it at {kept}, or name it with --image FILE",
    )
    if url is None:
        raise missing
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_name(f".{kept.name}.part")
    with part.open("a+b") as file_:
        fcntl.flock(file_, fcntl.LOCK_EX)  # of several boards that are flashed at once, one downloads
        if kept.exists():
            return kept
        _whole(file_, url, sha256, max_bytes, missing)
        os.fsync(file_.fileno())
        part.rename(kept)
    return kept


def _whole(part: IO[bytes], url: str, sha256: str, max_bytes: int, missing: NoImage) -> None:
    """Fill the file until its hash is right."""
    for _ in range(_TRIES):
        had = part.seek(0, os.SEEK_END)
        try:
            complete = _more(part, url, had, max_bytes)
        except urllib.error.HTTPError as error:
            if error.code != _NOT_SATISFIABLE or not had:
                raise missing from error
            part.truncate(0)  # of another release
            continue
        except (OSError, http.client.HTTPException) as error:
            if part.seek(0, os.SEEK_END) > had:
                continue  # cut on the way: on from there
            raise missing from error
        if not complete:
            continue
        found = _sha256(part)
        if found == sha256:
            return
        size = part.seek(0, os.SEEK_END)
        part.truncate(0)
        if not had:  # nothing old was in it
            raise NoImage(
                "What was downloaded is not the image that it should be.",
                value=f"{size} bytes from {url}, SHA-256 {found}",
                reason="It is another release, or somebody changed it on the way. Nothing of it was kept.",
                next_step=missing.next_step,
            )
    raise missing


def _more(part: IO[bytes], url: str, had: int, max_bytes: int) -> bool:
    """Ask for what is missing; whether all of it came. Raises OSError, HTTPException."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})  # noqa: S310  https only
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  the schema takes https only
        began = _RANGE.match(answer.headers.get("Content-Range", ""))
        if answer.status != _PARTIAL or began is None or int(began[1]) != had:
            part.truncate(0)  # it gives all of it
        told = answer.headers.get("Content-Length")
        came = 0
        while data := answer.read(_CHUNK_BYTES):
            part.write(data)
            part.flush()
            came += len(data)
            if part.tell() > max_bytes:
                part.truncate(0)
                raise NoImage(f"What is at {url} is longer than {max_bytes} bytes.", value=url)
    return told is None or came >= int(told)


def _sha256(part: IO[bytes]) -> str:
    part.seek(0)
    return hashlib.file_digest(part, "sha256").hexdigest()  # type: ignore[arg-type]  # an open file is one
