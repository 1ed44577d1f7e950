# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board tells about itself: why it started, how often, what its code is, what works. Loaded when needed."""

import gc
import hashlib
import os
import struct

import machine

from firmware.node.log import log, log_error
from firmware.node.store import Slots
from firmware.wire import kinds, readings
from firmware.wire.kinds import common
from firmware.wire.kinds.common_controls import ABSENT, BROKEN, WORKS

VERSION = 100  # 0.1.0: major * 10000 + minor * 100 + patch
_COUNTS = "<III"  # boots, supply failures, watchdog resets
_CODE = "/firmware"
_CHUNK_BYTES = 512
_LITTLE_HEAP_BYTES = 8192
_PROBE = "probe"
_READING_BYTES = 44  # the smallest frame of EU868 takes 51


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


def values(node) -> dict:
    """Return the common fields of the status report."""
    return {
        "uptime_s": node.clock.uptime_s(),
        "boot_reason": node.boots[0],
        "boots": node.boots[1],
        "supply_failures": node.boots[2],
        "watchdog_resets": node.boots[3],
        "late_windows": getattr(node.link, "late_windows", 0),
        "firmware_version": VERSION,
        "firmware_hash": code_hash(_CODE),
        "selftest_failed": node.failed,
        "settings_crc": node.settings.crc(),
        "settings_damaged": node.settings.damaged,
        "maintenance": node.maintained(),
        "heap_free_bytes": gc.mem_free(),
    }


def code_hash(root: str) -> int:
    """Return the first four bytes of a SHA-256 over the code below *root*.

    That of each file goes into it behind the file's path and a zero byte, sorted by path, folders where their names
    stand. 0 on a board whose code is frozen into the interpreter: there is no folder.
    """
    whole = hashlib.sha256()
    found = False
    for path in _walk(root):
        part = hashlib.sha256()
        with open(path, "rb") as file:
            chunk = file.read(_CHUNK_BYTES)
            while chunk:
                part.update(chunk)
                chunk = file.read(_CHUNK_BYTES)
        whole.update(path[len(root) :].encode() + b"\0" + part.digest())
        found = True
    return struct.unpack(">I", whole.digest()[:4])[0] if found else 0


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


def chunks(module, values: dict, room_bytes: int) -> list:
    """Return *values* as encoded readings, each in at most *room_bytes*; *module* has their FIELDS."""
    found, part = [], {}
    for name in values:
        part[name] = values[name]
        if (
            len(part) > 1
            and len(readings.encode_reading(module, readings.MAX_SEQ, part, readings.MAX_SEQ)) > room_bytes
        ):
            del part[name]
            found.append(readings.encode_reading(module, 0, part))
            part = {name: values[name]}
    if part:
        found.append(readings.encode_reading(module, 0, part))
    return found


async def bodies(node) -> list:
    """Return the status report: encoded readings without number and time."""
    node.failed = failed_bits(await self_test(node))
    found = chunks(common, values(node), _READING_BYTES)
    own = getattr(node.role, "status", None)
    if own is not None:
        found += chunks(kinds.load(node.kind), await own(), _READING_BYTES)
    return found


async def self_test(node) -> dict:
    """Return what works by the key of each component: WORKS, BROKEN or ABSENT."""
    results = {
        "flash": _flash(node.files),
        "clock": WORKS if node.clock.is_set() else BROKEN,
        "radio": _radio(node.link),
        "settings": BROKEN if node.settings.damaged else WORKS,
        "heap": WORKS if gc.mem_free() >= _LITTLE_HEAP_BYTES else BROKEN,
    }
    own = getattr(node.role, "self_test", None)
    if own is not None:
        results.update(await own())
    found = {}
    for module in kinds.controls(node.kind):
        for name, key in module.COMPONENTS:
            found[key] = results.get(name, ABSENT)
    return found


def failed_bits(results: dict) -> int:
    """Return the components that are broken as bits."""
    bits = 0
    for key in results:
        if results[key] == BROKEN:
            bits |= 1 << key
    return bits


def _flash(files) -> int:
    content = os.urandom(16)
    try:
        files.write(_PROBE, content)
        return WORKS if files.read(_PROBE) == content else BROKEN
    except OSError:
        return BROKEN


def _radio(link) -> int:
    works = getattr(link, "works", None)
    if works is None:
        return ABSENT
    return WORKS if works else BROKEN
