# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sources that were made smaller once are kept on disk: the same sources, by the same code, give the same again.

The name of a file is the SHA-256 of all that its content depends on, so that nothing old is ever taken for new. What
cannot be read or written is made anew: it costs seconds, never a build.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from boards.texts import Texts

MAX_KEPT = 8
_MAKERS = ("build.py", "kept.py", "relative.py", "shorten.py", "shrink.py", "texts.py")
Sources = tuple[tuple[str, str], ...]


def texts(sources: Sources, short_names: bool, make: Callable[[], Texts]) -> Texts:
    """What *make* returns for these sources, from the disk where it lies there."""
    folder = _folder()
    if folder is None:
        return make()
    path = folder / f"{_key(sources, short_names)}.json"
    found = _read(path)
    if found is None:
        found = make()
        _write(path, found)
    return found


def _folder() -> Path | None:
    """$LYKTA_BUILDS, else under the user's cache folder; none where a user has no home."""
    own = os.environ.get("LYKTA_BUILDS")
    if own:
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  it does not raise
    return None if cache.startswith("~") else Path(cache) / "lykta" / "builds"


def _key(sources: Sources, short_names: bool) -> str:
    whole = hashlib.sha256(f"{sys.version}\0{short_names}\0".encode())
    for name in _MAKERS:
        whole.update(hashlib.sha256((Path(__file__).parent / name).read_bytes()).digest())
    for name, text in sources:
        whole.update(f"{name}\0{len(text.encode())}\0{text}".encode())
    return whole.hexdigest()


def _read(path: Path) -> Texts | None:
    try:
        content = path.read_bytes()
        body, digest = content[:-64], content[-64:].decode("ascii")
        if hashlib.sha256(body).hexdigest() != digest:
            return None
        found = json.loads(body)
        return Texts(dict(found["sources"]), found["file"].encode())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(path: Path, made: Texts) -> None:
    try:
        body = json.dumps({"sources": made.sources, "file": made.file.decode()}).encode()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(body + hashlib.sha256(body).hexdigest().encode())
        Path(file.name).replace(path)
        kept = sorted(path.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-MAX_KEPT]:
            old.unlink(missing_ok=True)
    except (OSError, ValueError):
        return
