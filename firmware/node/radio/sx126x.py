# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech SX1261, SX1262 and the sub-GHz radio of the STM32WL.

DS = SX1261/2 data sheet, DS.SX1261-2.W.APP, rev. 2.1 (December 2021); "DS 15.4" is a section of it.
"""

import time

from micropython import const

from firmware.node.lazy import borrowed
from firmware.node.radio import RadioError, base
from firmware.node.radio.bus import SpiBus
from firmware.wire.airtime import PREAMBLE_SYMBOLS, symbol_us

# commands, DS chapter 13; what follows the opcode stands behind it
_SET_SLEEP = const(0x84)  # configuration
_SET_STANDBY = const(0x80)  # 0: RC oscillator, 1: crystal or TCXO
_SET_TX = const(0x83)  # time-out (3)
_SET_RX = const(0x82)  # time-out (3)
_SET_PA_CONFIG = const(0x95)  # duty cycle, hpMax, device, 1
_WRITE_REGISTER = const(0x0D)  # address (2), data
_READ_REGISTER = const(0x1D)  # address (2), 0, data
_WRITE_BUFFER = const(0x0E)  # offset, data
_READ_BUFFER = const(0x1E)  # offset, 0, data
_GET_IRQ = const(0x12)  # 0, flags (2)
_CLEAR_IRQ = const(0x02)  # flags (2)
_SET_FREQUENCY = const(0x86)  # frequency (4)
_SET_TX_PARAMS = const(0x8E)  # power, ramp
_SET_MODULATION = const(0x8B)  # SF, bandwidth, coding rate, low data rate optimisation
_SET_PACKET = const(0x8C)  # preamble (2), header, length, CRC, I/Q
_SYMBOL_TIMEOUT = const(0xA0)  # symbols
_GET_STATUS = const(0xC0)  # 0
_GET_RX_BUFFER = const(0x13)  # 0, length, start
_GET_PACKET_STATUS = const(0x14)  # 0, RSSI, SNR, signal RSSI
_GET_ERRORS = const(0x17)  # 0, errors (2)

# registers, DS table 12-1
_REG_SYNC_TIMEOUT = const(0x0706)  # the symbol time-out as mantissa and exponent, as Semtech's own driver sets it
_REG_IQ = const(0x0736)  # DS 15.4
_REG_TX_MODULATION = const(0x0889)  # DS 15.1
_REG_RTC_CONTROL = const(0x0902)  # DS 15.3
_REG_EVENT_MASK = const(0x0944)  # DS 15.3

_IRQ_TX_DONE = const(0x0001)  # DS table 13-29
_IRQ_RX_DONE = const(0x0002)
_IRQ_HEADER_ERROR = const(0x0020)
_IRQ_CRC_ERROR = const(0x0040)
_IRQ_TIMEOUT = const(0x0200)

_BANDWIDTHS = {125000: 4, 250000: 5, 500000: 6}  # DS table 13-48
_RAMP_40_US = const(2)
_LONGEST_SYMBOLS = const(248)
_LDRO_US = const(16000)  # symbols from this length on need low data rate optimisation, DS 6.1.1.4

# DS table 13-21: highest power, PA duty cycle, hpMax; lower powers by the power byte
_PA_SX1262 = (14, 2, 2), (17, 2, 3), (20, 3, 5), (22, 4, 7)
_PA_SX1261 = (10, 1, 0), (14, 4, 0), (15, 6, 0)

_BUSY_MS = const(25)  # image calibration and a cold start take a few ms; the TCXO's time comes on top
_WAKE_US = const(20)
_OPENING_US = const(62)  # STDBY_XOSC to RX, DS table 8-2
_TCXO_START_US = const(5000)


def open_radio(settings):
    """Return the radio of a board map's table."""
    return SX126x(SpiBus(settings), settings)


def symbol_timeout(symbols: int) -> tuple[int, int]:
    """Return the argument of SetLoRaSymbNumTimeout and register 0x0706: not fewer symbols, 248 at most."""
    mantissa, exponent = (min(symbols, _LONGEST_SYMBOLS) + 1) >> 1, 0
    while mantissa > 31:
        mantissa, exponent = (mantissa + 3) >> 2, exponent + 1
    return mantissa << (2 * exponent + 1), mantissa << 3 | exponent


class SX126x(base.LoraRadio):
    """*bus* is a bus.SpiBus or the like; *settings*: tcxo_mv (0: crystal), tcxo_start_us, dio2_rf_switch, pa, ldo,
    rx_boost."""

    carrier = "radio.sx126x_carrier"

    def __init__(self, bus, settings) -> None:
        super().__init__()
        self._bus = bus
        with borrowed("radio.sx126x_setup") as setup:
            setup.check(settings)
        self._tcxo_us = settings.get("tcxo_start_us", _TCXO_START_US) if settings.get("tcxo_mv") else 0
        self._settings = settings
        self._small_pa = settings.get("pa", "sx1262") == "sx1261"
        self._busy_ms = _BUSY_MS + self._tcxo_us // 1000
        self._warm_up_us = self._tcxo_us + 1000
        self._opening_us = _OPENING_US
        self._rx_timeout = b""
        self._asleep = False
        self._last = 0
        self._out = bytearray(12)
        self._in = bytearray(12)
        self._out_view, self._in_view = memoryview(self._out), memoryview(self._in)

    async def init(self) -> None:
        """Reset and set up the chip; it is in standby then. Raises RadioError with a diagnosis."""
        self._bus.reset()
        self._asleep = False
        self._bus.switch(False, False)
        with borrowed("radio.sx126x_setup") as setup:
            setup.set_up(self._settings, self._tcxo_us, self._command, self._get, self._write, self._change)
        self._bus.watch(self)

    def sleep(self) -> None:
        """Warm sleep: settings stay, the next use wakes the chip."""
        self.stop()
        self._bus.switch(False, False)
        self._command(_SET_SLEEP, b"\x04")
        self._asleep = True

    def stop(self) -> None:
        """End whatever goes on."""
        self._command(_SET_STANDBY, b"\0")

    # what base.LoraRadio asks for

    def _load(self, freq_hz: int, sf: int, bw_hz: int, power_dbm: int, payload: bytes, inverted: bool) -> None:
        self._bus.switch(True, False)
        self._modem(freq_hz, sf, bw_hz, len(payload), True, inverted)
        # DS 15.1: 0 for 500 kHz, else 1
        self._change(_REG_TX_MODULATION, 0x04, 0 if bw_hz == 500000 else 0x04)
        self._power(power_dbm)
        self._begin(_WRITE_BUFFER, b"\0")
        self._bus.write(payload)
        self._bus.select(False)

    def _start_transmit(self, timeout_us: int) -> None:
        self._command(_CLEAR_IRQ, b"\xff\xff")
        self._command(_SET_TX, timer(timeout_us + self._tcxo_us))
        self._wait_ready(_GET_IRQ)  # BUSY falls when the power amplifier is up

    def _tune(self, freq_hz: int, sf: int, bw_hz: int, symbols: int, guard_us: int, inverted: bool) -> None:
        self._bus.switch(False, True)
        self._modem(freq_hz, sf, bw_hz, base.MAX_FRAME, False, inverted)
        count, register = symbol_timeout(symbols)
        self._command(_SYMBOL_TIMEOUT, bytes((count,)))
        if symbols:
            self._write(_REG_SYNC_TIMEOUT, bytes((register,)))
        # The symbols decide when nobody sends. The timer ends a window in which only a preamble was heard.
        self._rx_timeout = b"\xff\xff\xff" if not symbols else timer(guard_us)

    def _warm_up(self) -> None:
        self._command(_SET_STANDBY, b"\1")
        self._command(_CLEAR_IRQ, b"\xff\xff")
        self._wait_ready(_SET_RX)

    def _start_receive(self) -> None:
        self._send(_SET_RX, self._rx_timeout)  # BUSY was awaited in _warm_up: nothing may come between

    def _take_flags(self) -> int:
        irq = self._get(_GET_IRQ, 2)
        if irq:
            self._command(_CLEAR_IRQ, bytes((irq >> 8, irq & 0xFF)))
        return (
            (irq & _IRQ_TX_DONE and base.TX_DONE)
            | (irq & _IRQ_RX_DONE and base.RX_DONE)
            | (irq & _IRQ_TIMEOUT and base.TIMEOUT)
            | (irq & _IRQ_CRC_ERROR and base.CRC_ERROR)
            | (irq & _IRQ_HEADER_ERROR and base.HEADER_ERROR)
        )

    def _fetch(self) -> tuple[bytes, int, float]:
        where = self._get(_GET_RX_BUFFER, 2)
        data = bytearray(where >> 8)
        self._begin(_READ_BUFFER, bytes((where & 0xFF, 0)))
        self._bus.read(data)
        self._bus.select(False)
        self._get(_GET_PACKET_STATUS, 3)
        rssi, snr = self._in[2], self._in[3]
        # DS 15.3: a time-out that was armed may fire again later; needed for implicit headers, harmless for others
        self._write(_REG_RTC_CONTROL, b"\0")
        self._change(_REG_EVENT_MASK, 0, 0x02)
        return bytes(data), -rssi // 2, (snr - 256 if snr > 127 else snr) / 4

    def _diagnosis(self) -> str:
        status = self._get(_GET_STATUS, 0)
        with borrowed("radio.sx126x_setup") as setup:
            return "status 0x%02x, %s" % (status, setup.error_text(self._get(_GET_ERRORS, 2)))

    # settings

    def _modem(self, freq_hz: int, sf: int, bw_hz: int, length: int, crc: bool, inverted: bool) -> None:
        self._command(_SET_STANDBY, b"\0")
        self._command(_SET_FREQUENCY, frequency(freq_hz))
        slow = symbol_us(sf, bw_hz) >= _LDRO_US
        self._command(_SET_MODULATION, bytes((sf, _BANDWIDTHS[bw_hz], 1, slow)))
        self._command(_SET_PACKET, bytes((0, PREAMBLE_SYMBOLS, 0, length, crc, inverted)))
        # DS 15.4: 0 for inverted I/Q, 1 for standard. The other way round the chip sends, and hears next to nothing.
        self._change(_REG_IQ, 0x04, 0 if inverted else 0x04)

    def _power(self, power_dbm: int) -> None:
        rows = _PA_SX1261 if self._small_pa else _PA_SX1262
        top = rows[-1][0]
        power_dbm = max(-17 if self._small_pa else -9, min(power_dbm, top))
        highest, duty, hp_max = next(row for row in rows if power_dbm <= row[0])
        self._command(_SET_PA_CONFIG, bytes((duty, hp_max, self._small_pa, 1)))
        full = (13 if highest == 10 else 14) if self._small_pa else 22
        self._command(_SET_TX_PARAMS, bytes(((full - highest + power_dbm) & 0xFF, _RAMP_40_US)))

    # the bus

    def _wait_ready(self, opcode: int) -> None:
        if not self._bus.busy():
            return
        begun_ms = time.ticks_ms()
        expired = False
        while self._bus.busy():
            if expired:  # looked at once more after the time: what held this program up may not have held up the chip
                raise RadioError(
                    "radio: BUSY (%s) stays high: waited %d ms before command 0x%02x, after command 0x%02x. Check the "
                    "pin, the chip's power and reset, and tcxo_mv"
                    % (self._bus.busy_name, self._busy_ms, opcode, self._last)
                )
            expired = time.ticks_diff(time.ticks_ms(), begun_ms) > self._busy_ms

    def _wake(self) -> None:
        self._bus.select(True)  # the falling edge wakes the chip, DS 9.3; BUSY is high as long as it sleeps
        time.sleep_us(_WAKE_US)
        self._bus.select(False)
        self._asleep = False

    def _begin(self, opcode: int, arguments: bytes) -> int:
        """Select the chip and send the head of a command; its answer is in ``_in``. Returns the count of bytes."""
        if self._asleep:
            self._wake()
        self._wait_ready(opcode)
        return self._head(opcode, arguments)

    def _head(self, opcode: int, arguments: bytes) -> int:
        size = 1 + len(arguments)
        self._out[0] = opcode
        self._out[1:size] = arguments
        self._last = opcode
        self._bus.select(True)
        self._bus.exchange(self._out_view[:size], self._in_view[:size])
        return size

    def _command(self, opcode: int, arguments: bytes) -> None:
        self._begin(opcode, arguments)
        self._bus.select(False)

    def _send(self, opcode: int, arguments: bytes) -> None:
        self._head(opcode, arguments)
        self._bus.select(False)

    def _get(self, opcode: int, size: int) -> int:
        """Return the answer as a number; its bytes are in ``_in`` from 2 on, the status before them."""
        self._command(opcode, b"\0\0\0\0"[: 1 + size])
        if not size:
            return self._in[1]
        return self._in[2] << 8 | self._in[3]

    def _write(self, address: int, data: bytes) -> None:
        self._command(_WRITE_REGISTER, bytes((address >> 8, address & 0xFF)) + data)

    def _change(self, address: int, clear: int, set_bits: int) -> None:
        self._command(_READ_REGISTER, bytes((address >> 8, address & 0xFF, 0, 0)))
        self._write(address, bytes((self._in[4] & ~clear | set_bits,)))


def frequency(freq_hz: int) -> bytes:
    """Return the argument of SetRfFrequency: Hz x 2^25 / 32 MHz (DS 13.4.1), in numbers of at most 30 bits."""
    whole, rest = divmod(freq_hz, 15625)
    word = whole * 16384 + rest * 16384 // 15625
    return bytes((word >> 24, word >> 16 & 0xFF, word >> 8 & 0xFF, word & 0xFF))


def timer(duration_us: int) -> bytes:
    """Return a time-out in steps of 15.625 us (DS 13.1.4): at most 262 s, which 0xFFFFFE is."""
    steps = min(duration_us * 8 // 125, 0xFFFFFE)
    return bytes((steps >> 16, steps >> 8 & 0xFF, steps & 0xFF))
