# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The one file of an update: see `firmware.wire.update` for its form."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Final

from firmware.wire import update
from provisioning.bench import slot_file
from provisioning.bench.package import ENTRY, MANIFEST, TRIAL, Package
from provisioning.errors import BoardError

_MODULE: Final = ENTRY.removesuffix(".py")
_TRIES: Final = 3


def pack(package: Package, base: Mapping[str, str] | None = None) -> bytes:
    """All files of a package; those that `base` has as well (SHA-256 by path) are copied there. Raises BoardError."""
    slot_file.check(package.content)
    known = set() if base is None else set(base.items())
    entries = []
    for path, data in sorted(package.content.items()):
        source = update.COPY if (path, package.hashes[path]) in known else update.HERE
        entries.append(_entry(path, data, source))
    entries.append(_entry(MANIFEST, package.manifest, update.HERE))
    roots = (package.boot, launcher(package), _trial_launcher(package))
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


def launcher(package: Package) -> bytes:
    """/main.py that runs a slot that came with a release; a board puts the slot's letter in."""
    slot = update.SLOT.decode()
    head = f"# Lykta: slot {slot}, build {package.build}\nimport sys\n"
    return f'{head}{slot_file.READER}show("{slot}")\nimport {_MODULE}\n'.encode()


def _trial_launcher(package: Package) -> bytes:
    """/main.py of a trial that nobody watches: what ends the new build has the start after it run the old one.

    But power that came back says nothing of the build: then it is tried again, `_TRIES` times in all. /trial holds
    which try comes next. Without its token, whatever the reason, the old build runs.
    """
    slot, other = update.SLOT.decode(), update.OTHER.decode()
    return f"""# Lykta: slot {slot} on trial, else {other}, build {package.build}
import machine
import os
import sys
{slot_file.READER}
TOKEN = "{TRIAL}"
try:
    with open(TOKEN) as file:
        turn = int(file.read())
except (OSError, ValueError):
    turn = 0
if turn > 1 and getattr(machine, "reset_cause", int)() != getattr(machine, "PWRON_RESET", None):
    turn = 0
noted = False
if 0 < turn < {_TRIES}:
    try:
        with open(TOKEN, "w") as file:
            file.write(str(turn + 1))
        noted = True
    except OSError:
        pass
if not noted:
    try:
        os.remove(TOKEN)
    except OSError:
        turn = 0
if turn:
    show("{slot}")
    try:
        import {_MODULE}
    except Exception as error:
        sys.print_exception(error)
        machine.reset()
else:
    show("{other}")
    import {_MODULE}
""".encode()
