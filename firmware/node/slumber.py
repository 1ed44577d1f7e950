# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Deep sleep: the processor forgets all but its clock and a little memory beside it, and starts anew when it wakes.

What the node knows goes into that memory: counters, moments, alarms, the bin's trend. It is read once and cleared, so
that a reset in between goes by what flash says, which is always ahead. A wake on which only a look was due, and which
finds nothing, loads a role's ``<kind>_look`` and sleeps on. Loaded for a moment only: see lazy.borrowed.
"""

import binascii
import gc
import struct
import time

import machine
from machine import Pin

from firmware.node.log import log, log_error
from firmware.wire import cbor
from firmware.wire.errors import Malformed

_ROOM_BYTES = 2048  # what the ESP32 ports keep (machine.RTC.memory)
_HEAD = "<HHI"  # bytes of the state, of what a wake needs first, CRC-32 over both
_HEAD_BYTES = 8
_DEPTH = 8
_ITEMS = 1024
_LEAST_MS = 10
_FLOAT, _FLOATS, _SET = "f", "l", "s"  # what CBOR here lacks, as maps of one of these keys
_LINK = ("windows", "late_windows", "faults", "unsent")


def begin():
    """Return (look, state, moment, its ticks) of the sleep that has just ended; None after any other start.

    Does not return when nothing is due and a look finds nothing: it sleeps on.
    """
    rtc = machine.RTC()
    memory = getattr(rtc, "memory", None)
    if memory is None:
        return None
    kept = _unpacked(memory())
    memory(b"")
    if kept is None:
        return None
    head, state = kept
    at_ms, clock_ms, work_ms, look_ms, look, pins = head
    ticks = time.ticks_ms()
    now_ms = at_ms + max(0, _clock_ms(rtc) - clock_ms)
    if look is not None and now_ms < work_ms:
        kind, wdt_ms, every_ms, values = look
        if wdt_ms:
            machine.WDT(timeout=wdt_ms)
        found = __import__("firmware.node.roles." + kind + "_look", None, None, ["quiet"])
        if found.quiet(values, now_ms):
            look_ms = now_ms + every_ms if now_ms >= look_ms else look_ms
            head = [now_ms, _clock_ms(rtc), work_ms, look_ms, look, pins]
            room = bytearray(_ROOM_BYTES)
            state_end = _HEAD_BYTES + len(state)
            room[_HEAD_BYTES:state_end] = state
            _go(head, room, state_end, _put(room, state_end, head))
    _hold(pins[1], False)
    return look, state, now_ms, ticks


def restore(node, woken) -> None:
    """Give *node* back what it knew; *woken* is what ``begin`` returned."""
    look, state, now_ms, ticks = woken
    objects = _objects(node)
    try:
        values = cbor.loads_sequence(state, _DEPTH, _ITEMS)
    except Malformed as error:
        log_error("sleep: nothing is left of what it knew", error)
        return
    if len(values) != len(objects) + 1:
        log("sleep", "nothing is left of what it knew: a state of %d parts" % len(objects))
        return
    for each, kept in zip(objects, values):
        kept = _thawed(kept)
        for name in kept:
            setattr(each, name, kept[name])
    for name, count in zip(_LINK, _thawed(values[-1])):
        setattr(node.service.link, name, count)
    node.clock.resume(now_ms, ticks)
    if look is not None:
        node.service.role.woken(look[3])


def sleep(node, work_ms: int, room: bytearray) -> None:
    """Sleep until *work_ms* of the node's clock, or until a look finds something. Returns when that cannot be.

    *room* is where the state is put together: a heap that has worked for days may have no hole of that size.
    """
    rtc = machine.RTC()
    nap = node.service.role.nap()
    if getattr(rtc, "memory", None) is None or nap is None:
        return
    kind, every_ms, values, wake_pin = nap
    now_ms = node.clock.monotonic_ms()
    end = _HEAD_BYTES
    for each in _objects(node):
        end = _put(room, end, _plain(each))
    state_end = end = _put(room, end, [getattr(node.service.link, name) for name in _LINK])
    look = [kind, node.wdt_ms, every_ms, values] if every_ms else None
    pins = [wake_pin, node.held_pin]
    head = [now_ms, _clock_ms(rtc), work_ms, now_ms + every_ms, look, pins]
    end = _put(room, end, head)
    gc.collect()
    _go(head, room, state_end, end)


def _put(room: bytearray, at: int, value) -> int:
    """Write *value* to *room* at a place; return where it ends. Raises ValueError when it has no room."""
    piece = cbor.dumps(value)
    if at + len(piece) > len(room):
        raise ValueError("deep sleep: what the node knows needs more than %d bytes" % len(room))
    room[at : at + len(piece)] = piece
    return at + len(piece)


def _go(head: list, room: bytearray, state_end: int, end: int) -> None:
    now_ms, _, work_ms, look_ms, look, pins = head
    until_ms = work_ms if look is None else min(work_ms, look_ms)
    whole = memoryview(room)
    struct.pack_into(_HEAD, room, 0, state_end - _HEAD_BYTES, end - state_end, binascii.crc32(whole[_HEAD_BYTES:end]))
    machine.RTC().memory(whole[:end])  # type: ignore[attr-defined]  # asked for before
    _hold(pins[1], True)
    if pins[0] is not None and not Pin(pins[0], Pin.IN).value():  # one that is stuck would end every sleep at once
        options = {"trigger": getattr(Pin, "WAKE_HIGH", 0), "wake": getattr(machine, "DEEPSLEEP", 0)}
        Pin(pins[0], Pin.IN).irq(**options)  # type: ignore[arg-type]
    machine.deepsleep(max(_LEAST_MS, until_ms - now_ms))


def _hold(number, on: bool) -> None:
    """Keep the radio's chip select high while the pins float: a falling edge would wake it, and it would stay awake."""
    if number is None:
        return
    options = {"value": 1, "hold": on}
    Pin(number, Pin.OUT, **options)
    try:
        __import__("esp32").gpio_deep_sleep_hold(on)
    except (ImportError, AttributeError):  # where pins are held one by one
        pass


def _unpacked(kept: bytes):
    """Return (what a wake needs first, the state as it is), or None when it was not written, or not wholly."""
    if len(kept) < _HEAD_BYTES:
        return None
    states, heads, crc = struct.unpack(_HEAD, kept[:_HEAD_BYTES])
    rest = kept[_HEAD_BYTES:]
    if len(rest) != states + heads or binascii.crc32(rest) != crc:
        return None
    head = cbor.loads(rest[states:], _DEPTH, _ITEMS)
    return (head, rest[:states]) if isinstance(head, list) and len(head) == 6 else None


def _objects(node) -> list:
    """Return what has a state, always in the same order. What is no plain value of theirs is not kept."""
    network = node.network
    return [node, node.clock, node.service, network] + network.kept() + node.service.role.kept()


def _plain(each) -> dict:
    found = {}
    own = each.__dict__
    for name in own:
        try:
            found[name] = _frozen(own[name])
        except TypeError:
            pass
    return found


def _frozen(value):
    """Return *value* in what CBOR here has. Raises TypeError for what is no plain value."""
    if isinstance(value, float):
        return {_FLOAT: struct.pack("<f", value)}
    if isinstance(value, set):
        return {_SET: sorted(value)}
    if isinstance(value, (list, tuple)):
        if len(value) and all([isinstance(each, float) for each in value]):
            return {_FLOATS: b"".join([struct.pack("<f", each) for each in value])}
        return [_frozen(each) for each in value]
    if isinstance(value, dict):
        return {name: _frozen(value[name]) for name in value}
    if value is None or isinstance(value, (bool, int, bytes)):
        return value
    raise TypeError  # also for a text: names do not change


def _thawed(value):
    if isinstance(value, list):
        return [_thawed(each) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        if _FLOAT in value:
            return struct.unpack("<f", value[_FLOAT])[0]
        if _FLOATS in value:
            raw = value[_FLOATS]
            return list(struct.unpack("<%df" % (len(raw) // 4), raw))
        if _SET in value:
            return set(value[_SET])
    return {name: _thawed(value[name]) for name in value}


def _clock_ms(rtc) -> int:
    """Return milliseconds of the clock that goes on in deep sleep; only differences mean anything."""
    year, month, day, _, hour, minute, second, us = rtc.datetime()
    return time.mktime((year, month, day, hour, minute, second, 0, 0)) * 1000 + us // 1000
