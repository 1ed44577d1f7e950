# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one file of an update: see `firmware.wire.update` for its form."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Final

from firmware.wire import update
from provisioning.bench.package import ENTRY, MANIFEST, TRIAL, Package
from provisioning.errors import BoardError

_MODULE: Final = ENTRY.removesuffix(".py")


def pack(package: Package, base: Mapping[str, str] | None = None) -> bytes:
    """All files of a package; those that `base` has as well (SHA-256 by path) are copied there. Raises BoardError."""
    known = set() if base is None else set(base.items())
    entries = []
    for path, data in sorted(package.content.items()):
        source = update.COPY if (path, package.hashes[path]) in known else update.HERE
        entries.append(_entry(path, data, source))
    entries.append(_entry(MANIFEST, package.manifest, update.HERE))
    roots = (package.boot, package.launcher(update.SLOT.decode()), _trial_launcher(package))
    entries += [_entry(path, data, update.HERE) for path, data in zip(update.ROOT, roots, strict=True)]
    whole = update.MAGIC + struct.pack(">H", len(entries)) + b"".join(entries)
    if len(whole) > update.MAX_BUNDLE:
        raise BoardError(
            "The update is too large for a board.", value=f"{len(whole)} bytes; at most {update.MAX_BUNDLE}"
        )
    return whole


def listed(bundle: bytes) -> dict[str, tuple[int, str, bool]]:
    """Size, SHA-256 and whether the data are in the bundle, by path. Raises BoardError."""
    found, at = {}, 6
    try:
        for _ in range(struct.unpack(">H", bundle[4:6])[0]):
            size = bundle[at]
            path = bundle[at + 1 : at + 1 + size].decode()
            length, digest, source = struct.unpack_from(">I32sB", bundle, at + 1 + size)
            at += 1 + size + update.TAIL_BYTES + (length if source == update.HERE else 0)
            found[path] = (length, digest.hex(), source == update.HERE)
    except (ValueError, IndexError, struct.error) as error:
        raise BoardError("This is not the bundle of an update.", value=str(error)[:60]) from error
    if bundle[:4] != update.MAGIC or at != len(bundle):
        raise BoardError("This is not the bundle of an update.", value=f"{len(bundle)} bytes")
    return found


def _entry(path: str, data: bytes, source: int) -> bytes:
    name = path.encode()
    if len(name) > update.MAX_PATH:
        raise BoardError("The path of a file is too long for an update.", value=path)
    tail = struct.pack(">I32sB", len(data), hashlib.sha256(data).digest(), source)
    return bytes([len(name)]) + name + tail + (data if source == update.HERE else b"")


def _trial_launcher(package: Package) -> bytes:
    """/main.py of a trial that nobody watches: whatever ends the new build, the start after it runs the old one."""
    slot, other = update.SLOT.decode(), update.OTHER.decode()
    return f"""# Lykta: slot {slot} on trial, else {other}, build {package.build}
import os
import sys

try:
    os.remove("{TRIAL}")
    tried = True
except OSError:
    tried = False
if tried:
    sys.path.insert(0, "/{slot}")
    try:
        import {_MODULE}
    except Exception as error:
        import machine

        sys.print_exception(error)
        machine.reset()
else:
    sys.path.insert(0, "/{other}")
    import {_MODULE}
""".encode()
