# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The bluetooth module of the board, peripheral role: a port has it in C. Central role, pairing and L2CAP raise OSError.
import struct
import sys

import board_events
import board_time
import hal
from hal import call
from micropython import const

__name__ = "bluetooth"

FLAG_READ = const(0x0002)
FLAG_WRITE_NO_RESPONSE = const(0x0004)
FLAG_WRITE = const(0x0008)
FLAG_NOTIFY = const(0x0010)
FLAG_INDICATE = const(0x0020)

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_READ_REQUEST = const(4)
_IRQ_GATTS_INDICATE_DONE = const(20)
_ENODEV = const(19)
_EINVAL = const(22)
_EVENT = const(2)


class UUID:
    # bytes(uuid) has the last byte first, as on the boards
    def __init__(self, value):
        if isinstance(value, int):
            self._bytes = struct.pack("<H", value)
        elif isinstance(value, str):
            digits = value.replace("-", "")
            if len(digits) != 32:
                raise ValueError("invalid UUID")
            self._bytes = bytes([int(digits[i : i + 2], 16) for i in range(30, -1, -2)])
        else:
            self._bytes = bytes(value)

    def __eq__(self, other):
        return isinstance(other, UUID) and other._bytes == self._bytes

    def __hash__(self):
        return hash(self._bytes)

    def __iter__(self):  # what bytes() takes here
        return iter(self._bytes)


def _ask(what, layout, *values, data=b""):
    return call(hal.BLE, what, struct.pack(layout, *values) + bytes(data))


class BLE:
    _only = None

    def __new__(cls):
        if BLE._only is None:
            BLE._only = super().__new__(cls)
            BLE._only._handler = None
            board_events.on(_EVENT, BLE._only._events)
        return BLE._only

    def active(self, on=None):
        if on is not None and not on:
            call(hal.BLE, 1, b"\x00")
        elif on:
            while not call(hal.BLE, 1, b"\x01")[0]:
                board_time.sleep_ms(2)
        return bool(call(hal.BLE, 1)[0])

    def config(self, *name, **values):
        if name:
            if name[0] == "mac":
                self._needs_power()
                return (1, call(hal.BLE, 0))
            raise ValueError("unknown config param")
        for key in values:
            if key == "mtu":
                _ask(9, "<H", values[key])
            elif key not in ("gap_name", "rxbuf", "addr_mode", "bond", "mitm", "io", "le_secure"):
                raise ValueError("unknown config param")

    def irq(self, handler):
        self._handler = handler

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        if not interval_us:
            _ask(2, "<IBB", 0, 0, 0)
            return
        if adv_data is not None:
            self._adv = bytes(adv_data)
        if resp_data is not None:
            self._resp = bytes(resp_data)
        adv, resp = getattr(self, "_adv", b""), getattr(self, "_resp", b"")
        if len(adv) > 31 or len(resp) > 31:
            raise OSError(_EINVAL)
        _ask(2, "<IBB", interval_us, connectable, len(adv), data=adv + resp)

    def gap_disconnect(self, conn_handle):
        return bool(_ask(7, "<H", conn_handle)[0])

    def gatts_register_services(self, services):
        data = b""
        for uuid, characteristics in services:
            name = bytes(uuid)
            data += bytes([len(characteristics), len(name)]) + name
            for characteristic in characteristics:
                name = bytes(characteristic[0])
                data += struct.pack("<HB", characteristic[1], len(name)) + name
        handles = _ask(3, "", data=data)
        at = 0
        found = []
        for _, characteristics in services:
            found.append(struct.unpack_from("<%dH" % len(characteristics), handles, at))
            at += 2 * len(characteristics)
        return tuple(found)

    def gatts_read(self, handle):
        return _ask(11, "<H", handle)

    def gatts_write(self, handle, data, send_update=False):
        _ask(4, "<HB", handle, send_update, data=data)
        return len(data)

    def gatts_notify(self, conn_handle, handle, data=None):
        _ask(5, "<HH", conn_handle, handle, data=self.gatts_read(handle) if data is None else data)

    def gatts_indicate(self, conn_handle, handle, data=None):
        _ask(6, "<HH", conn_handle, handle, data=self.gatts_read(handle) if data is None else data)

    def gatts_set_buffer(self, handle, length, append=False):
        _ask(8, "<HHB", handle, length, append)

    def gap_scan(self, *arguments, **options):
        raise OSError(_EINVAL)

    gap_connect = gap_pair = gap_passkey = gattc_discover_services = gattc_exchange_mtu = l2cap_listen = gap_scan

    def _needs_power(self):
        if not self.active():
            raise OSError(_ENODEV)

    def _events(self, _):
        while True:
            event = call(hal.BLE, 10)
            if not event:
                return
            kind = event[0]
            if kind <= _IRQ_CENTRAL_DISCONNECT:
                data = (event[1] | event[2] << 8, event[3], memoryview(event)[4:])
            elif kind == _IRQ_GATTS_INDICATE_DONE:
                data = struct.unpack_from("<HHB", event, 1)
            else:
                data = struct.unpack_from("<HH", event, 1)
            status = 0
            if self._handler:
                try:
                    status = self._handler(kind, data)
                except Exception as e:  # noqa: BLE001  as a port: print it and go on
                    sys.print_exception(e)
            if kind == _IRQ_GATTS_READ_REQUEST:
                _ask(12, "<HB", data[1], status or 0)
