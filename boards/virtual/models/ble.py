# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Bluetooth LE in the processor: decodes what the board's `bluetooth` module asks for (hal/board_bluetooth.py)."""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.pins import PinBank
from boards.virtual.protocol import HardwareError

if TYPE_CHECKING:
    from boards.virtual.ble.radio import BleRadio


class Ask(IntEnum):
    """Unit field of Op.BLE."""

    ADDRESS = 0
    ACTIVE = 1
    ADVERTISE = 2
    REGISTER = 3
    WRITE = 4
    NOTIFY = 5
    INDICATE = 6
    DISCONNECT = 7
    SET_BUFFER = 8
    SET_MTU = 9
    FETCH = 10
    READ = 11
    ANSWER_READ = 12


class Config(ModelConfig):
    """A board has one at most."""

    model: Literal["ble"]


class Chip:
    """Off until the firmware switches it on; bumble is imported then."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._site = environment.site
        self._radio: BleRadio | None = None
        self.raise_line: Callable[[], None] = lambda: None
        name = "" if self._site is None else self._site.radio_id
        digest = hashlib.sha256(name.encode()).digest()[:6]
        self.address = bytes([digest[0] | 0xC0]) + digest[1:]  # the two high bits of a static random address are set

    def power(self, on: bool) -> None:
        """The board's supply."""
        self.reset()

    def reset(self) -> None:
        """The processor starts anew, and its radio with it."""
        if self._radio is not None:
            self._radio.switch_off()
            self._radio = None

    def state(self) -> dict[str, float]:
        """What a test may want to see."""
        radio = self._radio
        if radio is None:
            return {"active": 0}
        counts = {"notified": radio.notified, "written": radio.written, "dropped_events": radio.dropped_events}
        return {"active": 1, "advertising": int(radio.advertising), "connections": radio.connected, **counts}

    def handle(self, unit: int, data: bytes) -> bytes:
        """One request of the module. HardwareError."""
        if unit == Ask.ADDRESS:
            return self.address
        if unit == Ask.ACTIVE:
            return self._active(data)
        if unit == Ask.FETCH:
            return b"" if self._radio is None else self._radio.fetch()
        if self._radio is None:
            raise HardwareError(errno.ENODEV)
        return _ASKS[Ask(unit)](self._radio, data) or b""

    def _active(self, data: bytes) -> bytes:
        if data == b"\x00":
            self.reset()
        elif data and self._radio is None:
            from boards.virtual.ble.radio import BleRadio

            self._radio = BleRadio(None if self._site is None else self._site.ble, self.address, self.raise_line)
            if self._site is not None:
                self._radio.x_m, self._radio.y_m = self._site.x_m, self._site.y_m
            self._radio.switch_on()
        return bytes([self._radio is not None and self._radio.ready])


def _advertise(radio: BleRadio, data: bytes) -> None:
    interval_us, connectable, length = struct.unpack_from("<IBB", data)
    radio.advertise(interval_us, bool(connectable), data[6 : 6 + length], data[6 + length :])


def _register(radio: BleRadio, data: bytes) -> bytes:
    """Services: a count of characteristics and a UUID; each characteristic: flags and a UUID. UUIDs have a length."""
    services = []
    at = 0
    while at < len(data):
        count, size = data[at], data[at + 1]
        service = data[at + 2 : at + 2 + size]
        at += 2 + size
        characteristics = []
        for _ in range(count):
            flags, size = struct.unpack_from("<HB", data, at)
            characteristics.append((data[at + 3 : at + 3 + size], flags))
            at += 3 + size
        services.append((service, characteristics))
    handles = radio.register(services)
    return struct.pack(f"<{len(handles)}H", *handles)


def _set_buffer(radio: BleRadio, data: bytes) -> None:
    handle, size, append = struct.unpack("<HHB", data)
    attribute = radio.attribute(handle)
    attribute.size, attribute.append = size, bool(append)


def _number(data: bytes, at: int = 0) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


_ASKS: dict[Ask, Callable[[BleRadio, bytes], bytes | None]] = {
    Ask.ADVERTISE: _advertise,
    Ask.REGISTER: _register,
    Ask.WRITE: lambda radio, data: radio.write(_number(data), data[3:], bool(data[2])),
    Ask.NOTIFY: lambda radio, data: radio.notify(_number(data, 2), _number(data), data[4:]),
    Ask.INDICATE: lambda radio, data: radio.indicate(_number(data, 2), _number(data), data[4:]),
    Ask.DISCONNECT: lambda radio, data: bytes([radio.disconnect(_number(data))]),
    Ask.SET_BUFFER: _set_buffer,
    Ask.SET_MTU: lambda radio, data: radio.set_mtu(_number(data)),
    Ask.READ: lambda radio, data: radio.read(_number(data)),
    Ask.ANSWER_READ: lambda radio, data: radio.answer_read(_number(data), data[2]),
}
