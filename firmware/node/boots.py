# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Why and how often the board started, and what its code is. Looked at once, before the node takes its memory."""

import hashlib
import os
import struct

import machine

import firmware
from firmware.node.log import log, log_error
from firmware.node.store import Slots
from firmware.wire.kinds import common

VERSION = 100  # 0.1.0: major * 10000 + minor * 100 + patch
_COUNTS = "<III"  # boots, supply failures, watchdog resets
_CHUNK_BYTES = 512


def facts(files) -> tuple:
    """Count this boot; return (reason, boots, supply failures, watchdog resets, version, hash of the code)."""
    return count_boot(files) + (VERSION, code_hash(str(firmware.__path__)))  # where this copy of the code lies


def count_boot(files) -> tuple:
    """Count this boot on flash; return (reason, boots, supply failures, watchdog resets).

    A power-on after the first is a supply that failed: MicroPython does not tell a brown-out from a cut.
    """
    reason = _reason()
    counts = [0, 0, 0]
    slots = Slots(files, "boots")
    if slots.payload is not None and len(slots.payload) == 12:
        counts = list(struct.unpack(_COUNTS, slots.payload))
    failed = reason == common.POWER_ON and counts[0] > 0
    counts[0] += 1
    counts[1] += 1 if failed else 0
    counts[2] += 1 if reason == common.WATCHDOG else 0
    try:
        slots.write(struct.pack(_COUNTS, *counts))
    except OSError as error:
        log_error("status: this boot is not counted", error)
    log(
        "status",
        "boot %d, reason %d; %d supply failures, %d watchdog resets" % (counts[0], reason, counts[1], counts[2]),
    )
    return (reason, counts[0], counts[1], counts[2])


def _reason() -> int:
    for name, reason in (
        ("PWRON_RESET", common.POWER_ON),
        ("HARD_RESET", common.HARD_RESET),
        ("WDT_RESET", common.WATCHDOG),
        ("DEEPSLEEP_RESET", common.DEEP_SLEEP),
        ("SOFT_RESET", common.SOFT_RESET),
    ):
        if hasattr(machine, "reset_cause") and machine.reset_cause() == getattr(machine, name, None):
            return reason
    return 0


def code_hash(root: str) -> int:
    """Return the first four bytes of a SHA-256 over the code below *root*, or of the slot that is one file.

    That of each file goes into it behind the file's path and a zero byte, sorted by path, folders where their names
    stand. 0 on a board whose code is frozen into the interpreter: there is no folder.
    """
    whole = hashlib.sha256()
    found = _hash(whole, root[: root.rfind("/")] + ".lyk")
    for path in [] if found else _walk(root):
        part = hashlib.sha256()
        _hash(part, path)
        whole.update(path[len(root) :].encode() + b"\0" + part.digest())
        found = True
    return struct.unpack(">I", whole.digest()[:4])[0] if found else 0


def _hash(whole, path: str) -> bool:
    try:
        with open(path, "rb") as file:
            chunk = file.read(_CHUNK_BYTES)
            while chunk:
                whole.update(chunk)
                chunk = file.read(_CHUNK_BYTES)
    except OSError:
        return False
    return True


def _walk(folder: str) -> list[str]:
    found = []
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return found
    for name in entries:
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            found += _walk(path)
        else:
            found.append(path)
    return found
