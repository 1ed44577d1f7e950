# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a board tells about itself: why it started, how often, what its code is, what works. Loaded when needed."""

import asyncio
import gc
import os

from firmware.wire import kinds, readings
from firmware.wire.kinds import common
from firmware.wire.kinds.common_controls import ABSENT, BROKEN, WAITS, WORKS

_LITTLE_HEAP_BYTES = 8192
_PROBE = "probe"
_READING_BYTES = 44  # the smallest frame of EU868 takes 51
_TRIES = 3  # an echo, an answer on a bus gets lost now and then: what works once is not broken
_AGAIN_MS = 100
_CLOCK_DUE_S = 3600  # the network tells the time with its first answers; a board that joins late is not broken


def values(node) -> dict:
    """Return the common fields of the status report."""
    return {
        "uptime_s": node.clock.uptime_s(),
        "boot_reason": node.boots[0],
        "boots": node.boots[1],
        "supply_failures": node.boots[2],
        "watchdog_resets": node.boots[3],
        "late_windows": getattr(node.link, "late_windows", 0),
        "firmware_version": node.boots[4],
        "firmware_hash": node.boots[5],
        "selftest_failed": node.failed,
        "settings_crc": node.settings.crc(),
        "settings_damaged": node.settings.damaged,
        "maintenance": node.maintained(),
        "heap_free_bytes": gc.mem_free(),
    }


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
    """Return what works by the key of each component: WORKS, BROKEN, ABSENT or WAITS."""
    results = {
        "flash": _flash(node.files),
        "clock": _clock(node.clock),
        "radio": _radio(node.link),
        "settings": BROKEN if node.settings.damaged else WORKS,
        "heap": WORKS if gc.mem_free() >= _LITTLE_HEAP_BYTES else BROKEN,
    }
    own = getattr(node.role, "self_test", None)
    if own is not None:
        await _try(own, results)
    found = {}
    for module in kinds.controls(node.kind):
        for name, key in module.COMPONENTS:
            found[key] = results.get(name, ABSENT)
    return found


async def _try(own, results: dict) -> None:
    """Add what a role's self-test says of each part; one that is broken has another chance, and one more."""
    for again in range(_TRIES):
        if again:
            await asyncio.sleep_ms(_AGAIN_MS)
        found = await own()
        for name in found:
            if results.get(name, BROKEN) == BROKEN:
                results[name] = found[name]
        if BROKEN not in [results[name] for name in found]:
            return


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


def _clock(clock) -> int:
    if clock.is_set():
        return WORKS
    return WAITS if clock.uptime_s() < _CLOCK_DUE_S else BROKEN


def _radio(link) -> int:
    works = getattr(link, "works", None)
    if works is None:
        return ABSENT
    return WORKS if works else BROKEN
