# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
# The machine module of the board. Holds no model of anything: every call is a request to the hardware outside.
import io
import struct
import time

import board_events
import board_time
import hal
from hal import call
from machine import PinBase, Signal, time_pulse_us  # noqa: F401  re-exported
from micropython import const

__name__ = "machine"

PWRON_RESET = const(1)
HARD_RESET = const(2)
WDT_RESET = const(3)
DEEPSLEEP_RESET = const(4)
SOFT_RESET = const(5)
SLEEP = const(2)
DEEPSLEEP = const(4)


def _number(pin):
    return pin._number if isinstance(pin, Pin) else pin


def _options(**given):
    # struct-ready text for *_INIT: only what was given; the hardware checks it.
    return ";".join("%s=%s" % (k, given[k]) for k in given if given[k] is not None).encode()


def unique_id():
    return hal.hello[7]


def reset_cause():
    return hal.hello[1]


def freq(hz=None):
    if hz is None:
        return hal.hello[6]
    if hz != hal.hello[6]:
        raise ValueError("this board's clock is fixed at %d Hz" % hal.hello[6])


def reset():
    call(hal.RESET, 0)


def soft_reset():
    raise SystemExit


def deepsleep(time_ms=0):
    call(hal.RESET, 2, struct.pack("<I", time_ms))


def lightsleep(time_ms=None):
    call(hal.LIGHTSLEEP, 1)
    try:
        while time_ms is None:  # only an interrupt wakes it; Ctrl-C is one
            time.sleep_ms(100)
        time.sleep_ms(time_ms)
    finally:
        call(hal.LIGHTSLEEP, 0)


def idle():
    time.sleep_ms(1)


def disable_irq():
    return 1


def enable_irq(state=1):
    pass


class Pin(PinBase):
    IN = const(0)
    OUT = const(1)
    OPEN_DRAIN = const(2)
    PULL_UP = const(1)
    PULL_DOWN = const(2)
    IRQ_RISING = const(1)
    IRQ_FALLING = const(2)
    WAKE_LOW = const(4)
    WAKE_HIGH = const(5)

    def __init__(self, id, mode=-1, pull=-1, *, value=None, hold=None):
        self._number = _number(id)
        self.init(mode, pull, value=value, hold=hold)

    def init(self, mode=-1, pull=-1, *, value=None, hold=None):
        if hold is not None:
            call(hal.PIN_HOLD, self._number, b"\x01" if hold else b"\x00")
        level = -1 if value is None else int(bool(value))
        pull = 0 if pull is None else pull
        call(hal.PIN_INIT, self._number, struct.pack("<bbb", mode, pull, level))

    def value(self, level=None):
        if level is None:
            return call(hal.PIN_READ, self._number)[0]
        call(hal.PIN_WRITE, self._number, b"\x01" if level else b"\x00")

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    high = on
    low = off

    def toggle(self):
        self.value(not self.value())

    def irq(self, handler=None, trigger=3, *, priority=1, wake=None, hard=False):
        if wake is not None and trigger >= 4:  # as the ESP32 port: a level that ends sleep, and no handler
            call(hal.PIN_WAKE, self._number, b"\x01" if trigger == 5 else b"\x00")
            return
        board_events.pin_irq(self, self._number, handler, trigger)

    def __repr__(self):
        return "Pin(%d)" % self._number


class ADC:
    def __init__(self, id):
        self._number = _number(id)
        call(hal.ADC_INIT, self._number)

    def read_u16(self):
        return struct.unpack("<H", call(hal.ADC_READ, self._number))[0]

    def read_uv(self):
        return self.read_u16() * 3300000 // 65535


class PWM:
    def __init__(self, dest, *, freq=-1, duty_u16=-1, duty_ns=-1):
        self._number = _number(dest)
        self._freq, self._duty = 0, 0
        self.init(freq=freq, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, *, freq=-1, duty_u16=-1, duty_ns=-1):
        if freq != -1:
            self._freq = freq
        if duty_ns != -1:
            duty_u16 = duty_ns * self._freq * 65535 // 1000000000
        if duty_u16 != -1:
            self._duty = duty_u16
        call(hal.PWM_SET, self._number, struct.pack("<ii", self._freq, self._duty))

    def deinit(self):
        call(hal.PWM_OFF, self._number)

    def freq(self, value=None):
        if value is None:
            return self._freq
        self.init(freq=value)

    def duty_u16(self, value=None):
        if value is None:
            return self._duty
        self.init(duty_u16=value)

    def duty_ns(self, value=None):
        if value is None:
            return self._duty * 1000000000 // (65535 * self._freq) if self._freq else 0
        self.init(duty_ns=value)


class I2C:
    def __init__(self, id, *, scl=None, sda=None, freq=400000, timeout=50000):
        self._id = id
        call(hal.I2C_INIT, id, _options(scl=_number(scl), sda=_number(sda), freq=freq))

    def scan(self):
        found = []
        for address in range(8, 0x78):
            try:
                self.writeto(address, b"")
                found.append(address)
            except OSError:
                pass
        return found

    def writeto(self, addr, buf, stop=True):
        call(hal.I2C_WRITE, self._id, struct.pack("<HB", addr, stop) + bytes(buf))
        return len(buf)

    def writevto(self, addr, vector, stop=True):
        return self.writeto(addr, b"".join(bytes(v) for v in vector), stop)

    def readfrom_into(self, addr, buf, stop=True):
        call(hal.I2C_READ, self._id, struct.pack("<HBH", addr, stop, len(buf)), buf)

    def readfrom(self, addr, nbytes, stop=True):
        buf = bytearray(nbytes)
        self.readfrom_into(addr, buf, stop)
        return bytes(buf)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        self.writeto(addr, memaddr.to_bytes(addrsize // 8, "big") + bytes(buf))

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        self.writeto(addr, memaddr.to_bytes(addrsize // 8, "big"), False)
        self.readfrom_into(addr, buf)

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        buf = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, buf, addrsize=addrsize)
        return bytes(buf)


def _moment():
    return struct.pack("<q", board_time.transfer_us())


class SPI:
    MSB = const(0)
    LSB = const(1)

    def __init__(self, id, baudrate=1000000, **options):
        self._id = id
        self.init(baudrate, **options)

    def init(self, baudrate=1000000, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None):
        pins = _options(sck=_number(sck), mosi=_number(mosi), miso=_number(miso))
        mode = _options(baudrate=baudrate, polarity=polarity, phase=phase, bits=bits, firstbit=firstbit)
        call(hal.SPI_INIT, self._id, mode + (b";" + pins if pins else b""))

    def deinit(self):
        pass

    def write_readinto(self, write_buf, read_buf):
        if len(write_buf) != len(read_buf):
            raise ValueError("buffers must be the same length")
        call(hal.SPI_TRANSFER, self._id, _moment() + write_buf, read_buf)

    def write(self, buf):
        call(hal.SPI_TRANSFER, self._id, _moment() + buf)

    def readinto(self, buf, write=0):
        call(hal.SPI_TRANSFER, self._id, _moment() + bytes([write]) * len(buf), buf)

    def read(self, nbytes, write=0):
        buf = bytearray(nbytes)
        self.readinto(buf, write)
        return bytes(buf)


class UART(io.IOBase):
    def __init__(self, id, baudrate=9600, bits=8, parity=None, stop=1, **options):
        self._id = id
        self.init(baudrate, bits, parity, stop, **options)

    def init(self, baudrate=9600, bits=8, parity=None, stop=1, *, tx=None, rx=None, timeout=0, timeout_char=2, **more):
        # At least a whole character, as ports see to.
        self._timeout_ms, self._char_ms = timeout, max(timeout_char, 13000 // max(baudrate, 1) + 1)
        pins = _options(tx=_number(tx), rx=_number(rx), rxbuf=more.pop("rxbuf", None), txbuf=more.pop("txbuf", None))
        if more:
            raise TypeError("UART has no option %s" % ", ".join(more))
        mode = _options(baudrate=baudrate, bits=bits, parity=parity, stop=stop)
        call(hal.UART_INIT, self._id, mode + (b";" + pins if pins else b""))

    def deinit(self):
        pass

    def any(self):
        return struct.unpack("<H", call(hal.UART_ANY, self._id))[0]

    def write(self, buf):
        call(hal.UART_WRITE, self._id, bytes(buf))
        return len(buf)

    def txdone(self):
        return True

    def flush(self):
        pass

    def _read_more(self, limit, until_newline=False):
        got = b""
        wait_ms = self._timeout_ms
        since = time.ticks_ms()
        while limit < 0 or len(got) < limit:
            ask = 1 if until_newline else min(512, limit - len(got)) if limit >= 0 else 512
            now = time.ticks_ms()
            more = call(hal.UART_READ, self._id, struct.pack("<H", ask))
            if more:
                got += more
                if until_newline and more == b"\n":
                    break
                wait_ms, since = self._char_ms, time.ticks_ms()
            elif time.ticks_diff(now, since) >= wait_ms:
                break
            else:
                time.sleep_ms(1)
        return got or None

    def read(self, nbytes=-1):
        return self._read_more(nbytes)

    def readline(self):
        return self._read_more(-1, True)

    def readinto(self, buf, nbytes=None):
        got = self._read_more(len(buf) if nbytes is None else min(nbytes, len(buf)))
        if got is None:
            return None
        buf[: len(got)] = got
        return len(got)

    def ioctl(self, request, argument):
        if request == 3:  # MP_STREAM_POLL: readable when bytes wait, always writable
            return argument & ((1 if self.any() else 0) | 4)
        return -1


class RTC:
    def datetime(self, value=None):
        # (year, month, day, weekday, hours, minutes, seconds, microseconds)
        if value is None:
            return struct.unpack("<HBBBBBBI", call(hal.RTC))
        call(hal.RTC, 1, struct.pack("<HBBBBBBI", *value))

    def memory(self, data=None):
        # As the ESP32 port: survives all but the loss of power.
        if data is None:
            return call(hal.RTC_MEMORY)
        call(hal.RTC_MEMORY, 1, bytes(data))


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("this board has watchdog 0 only, not %r" % id)
        call(hal.WDT, 1, struct.pack("<i", timeout))

    def feed(self):
        call(hal.WDT, 0)


class Timer:
    ONE_SHOT = const(0)
    PERIODIC = const(1)

    def __init__(self, id=-1, **options):
        self._id = id
        self._handle = None
        if options:
            self.init(**options)

    def init(self, *, mode=PERIODIC, freq=-1, period=-1, callback=None):
        self.deinit()
        period_us = int(1000000 / freq) if freq > 0 else period * 1000
        self._handle = board_events.start_timer(self, mode, period_us, callback)

    def deinit(self):
        if self._handle is not None:
            board_events.stop_timer(self._handle)
            self._handle = None
