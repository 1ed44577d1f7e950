# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech SX1276, SX1277, SX1278, SX1279 (RFM95 and its like).

DS = SX1276/77/78/79 data sheet rev. 7 (May 2020), EN = its errata note rev. 1. All registers are those of LoRa mode.
"""

import asyncio
import time

from micropython import const

from firmware.node.radio import RadioError, base
from firmware.node.radio.bus import SpiBus
from firmware.wire.airtime import PREAMBLE_SYMBOLS, symbol_us

_FIFO = const(0x00)
_OP_MODE = const(0x01)
_FRF = const(0x06)  # 3 bytes
_PA_CONFIG = const(0x09)
_LNA = const(0x0C)
_FIFO_ADDR = const(0x0D)
_FIFO_TX_BASE = const(0x0E)  # and RX base behind it
_FIFO_RX_CURRENT = const(0x10)
_IRQ_FLAGS = const(0x12)
_RX_BYTES = const(0x13)
_PKT_SNR = const(0x19)
_PKT_RSSI = const(0x1A)
_MODEM_CONFIG_1 = const(0x1D)
_PREAMBLE = const(0x20)  # 2 bytes
_PAYLOAD_LENGTH = const(0x22)
_MODEM_CONFIG_3 = const(0x26)
_IF_FREQ_2 = const(0x2F)  # and IF_FREQ_1
_DETECT_OPTIMIZE = const(0x31)
_INVERT_IQ = const(0x33)
_HIGH_BW_1 = const(0x36)
_SYNC_WORD = const(0x39)
_HIGH_BW_2 = const(0x3A)
_INVERT_IQ_2 = const(0x3B)
_IMAGE_CAL = const(0x3B)  # of FSK mode
_DIO_MAPPING = const(0x40)
_VERSION = const(0x42)
_TCXO = const(0x4B)

_LORA = const(0x80)  # DS 4.1.6: long range mode, and the modes
_SLEEP = const(0)
_STANDBY = const(1)
_TX = const(3)
_RX_CONTINUOUS = const(5)
_RX_SINGLE = const(6)

_IRQ_RX_TIMEOUT = const(0x80)
_IRQ_RX_DONE = const(0x40)
_IRQ_CRC_ERROR = const(0x20)
_IRQ_VALID_HEADER = const(0x10)
_IRQ_TX_DONE = const(0x08)

_BANDWIDTHS = {125000: 7, 250000: 8, 500000: 9}
_VERSION_SX1276 = const(0x12)
_EU868_HZ = const(868300000)
_RSSI_OFFSET = const(157)  # of the high-frequency port, DS 5.5.5
_LDRO_US = const(16000)
_OPENING_US = const(110)  # standby to receiving, DS table 7
_RESET_MS = const(6)  # DS 7.2.2
_CALIBRATION_TRIES = const(20)
_SYMBOLS = 4, 1023


def open_radio(settings):
    """Return the radio of a board map's table."""
    return SX127x(SpiBus(settings), settings)


class SX127x(base.LoraRadio):
    """*bus* is a bus.SpiBus or the like; *settings*: tcxo_mv (0: crystal), pa ("boost" or "rfo"), rx_boost."""

    carrier = "radio.sx127x_carrier"
    _opening_us = _OPENING_US
    _warm_up_us = 1000

    def __init__(self, bus, settings) -> None:
        super().__init__()
        self._bus = bus
        self._settings = settings
        self._boost = settings.get("pa", "boost") == "boost"
        self._listen_mode = _RX_SINGLE
        self._begun_us = time.ticks_us()
        self._guard_us = 0
        self._byte = bytearray(2)

    async def init(self) -> None:
        """Reset and set up the chip; it is in standby then. Raises RadioError with a diagnosis."""
        self._bus.reset()
        await asyncio.sleep_ms(_RESET_MS)
        version = self._read(_VERSION)
        if version != _VERSION_SX1276:
            raise RadioError(
                "radio: no SX127x answers: version 0x%02x instead of 0x12. 0x00 or 0xff: check power, MISO and chip "
                "select (cs); else: check that board.radio.chip names the chip" % version
            )
        self._write(_OP_MODE, b"\0")  # asleep, FSK: only there can LoRa be chosen
        if self._settings.get("tcxo_mv"):
            self._write(_TCXO, b"\x19")
        await self._calibrate()
        self._write(_OP_MODE, bytes((_SLEEP,)))
        self._write(_OP_MODE, bytes((_LORA | _SLEEP,)))
        self._set_mode(_STANDBY)
        if self._read(_OP_MODE) != _LORA | _STANDBY:
            raise RadioError("radio: the SX127x does not go to standby: check its crystal, or tcxo_mv")
        self._write(_FIFO_TX_BASE, b"\0\0")
        self._write(_SYNC_WORD, b"\x34")
        self._write(_LNA, b"\x23" if self._settings.get("rx_boost", True) else b"\x20")
        self._bus.watch(self)

    async def _calibrate(self) -> None:
        """Calibrate image rejection for the band: what the chip does by itself is for 434 MHz (DS 2.1.3.8)."""
        self._write(_OP_MODE, bytes((_STANDBY,)))
        self._write(_FRF, frequency(_EU868_HZ))
        self._write(_IMAGE_CAL, bytes((self._read(_IMAGE_CAL) | 0x40,)))
        for _ in range(_CALIBRATION_TRIES):
            await asyncio.sleep_ms(1)
            if not self._read(_IMAGE_CAL) & 0x20:
                return
        raise RadioError("radio: image calibration of the SX127x has no end: check its crystal, or tcxo_mv")

    def sleep(self) -> None:
        """Settings stay, but for the FIFO; the next use wakes the chip."""
        self._bus.switch(False, False)
        self._set_mode(_SLEEP)

    def stop(self) -> None:
        """End whatever goes on."""
        self._set_mode(_STANDBY)

    # what base.LoraRadio asks for

    def _load(self, freq_hz: int, sf: int, bw_hz: int, power_dbm: int, payload: bytes, inverted: bool) -> None:
        self._bus.switch(True, False)
        self._modem(freq_hz, sf, bw_hz, 0x04, 0)
        # bit 0: 0 inverts what is sent
        self._write(_INVERT_IQ, b"\x26" if inverted else b"\x27")
        self._write(_INVERT_IQ_2, b"\x19" if inverted else b"\x1d")
        self._power(power_dbm)
        self._write(_FIFO_ADDR, b"\0")
        self._write(_FIFO, payload)
        self._write(_PAYLOAD_LENGTH, bytes((len(payload),)))
        self._write(_DIO_MAPPING, b"\x40")  # DIO0: TxDone

    def _start_transmit(self, timeout_us: int) -> None:
        self._guard_us = 0  # base.transmit() has a time-out; the chip has none
        self._set_mode(_TX)

    def _tune(self, freq_hz: int, sf: int, bw_hz: int, symbols: int, guard_us: int, inverted: bool) -> None:
        self._bus.switch(False, True)
        symbols = max(_SYMBOLS[0], min(symbols, _SYMBOLS[1]))
        self._modem(freq_hz, sf, bw_hz, symbols >> 8, symbols & 0xFF)
        self._write(_INVERT_IQ, b"\x67" if inverted else b"\x27")  # bit 6: 1 inverts what is received
        self._write(_INVERT_IQ_2, b"\x19" if inverted else b"\x1d")
        self._write(_FIFO_ADDR, b"\0")
        self._write(_DIO_MAPPING, b"\0")  # DIO0: RxDone, DIO1: RxTimeout
        self._listen_mode = _RX_SINGLE if guard_us else _RX_CONTINUOUS
        self._guard_us = guard_us

    def _warm_up(self) -> None:
        self._set_mode(_STANDBY)
        self._write(_IRQ_FLAGS, b"\xff")

    def _start_receive(self) -> None:
        self._set_mode(self._listen_mode)
        self._begun_us = time.ticks_us()

    def _take_flags(self) -> int:
        irq = self._read(_IRQ_FLAGS)
        if not irq & (_IRQ_TX_DONE | _IRQ_RX_DONE | _IRQ_RX_TIMEOUT):
            late_us = time.ticks_diff(time.ticks_us(), self._begun_us) - self._guard_us
            # After a preamble that was none the chip waits for ever.
            return base.TIMEOUT if self._guard_us and late_us > 0 and not irq & _IRQ_VALID_HEADER else 0
        self._write(_IRQ_FLAGS, bytes((irq,)))
        return (
            (irq & _IRQ_TX_DONE and base.TX_DONE)
            | (irq & _IRQ_RX_DONE and base.RX_DONE)
            | (irq & _IRQ_RX_TIMEOUT and base.TIMEOUT)
            | (irq & _IRQ_CRC_ERROR and base.CRC_ERROR)
        )

    def _fetch(self) -> tuple[bytes, int, float]:
        data = bytearray(self._read(_RX_BYTES))
        self._write(_FIFO_ADDR, bytes((self._read(_FIFO_RX_CURRENT),)))
        self._bus.select(True)
        self._bus.write(bytes((_FIFO,)))
        self._bus.read(data)
        self._bus.select(False)
        snr, rssi = self._read(_PKT_SNR), self._read(_PKT_RSSI)
        snr_db = (snr - 256 if snr > 127 else snr) / 4
        above_db = rssi + snr_db if snr_db < 0 else rssi * 16 / 15  # DS 5.5.5
        return bytes(data), round(above_db) - _RSSI_OFFSET, snr_db

    def _diagnosis(self) -> str:
        return "mode 0x%02x, flags 0x%02x" % (self._read(_OP_MODE), self._read(_IRQ_FLAGS))

    # settings

    def _modem(self, freq_hz: int, sf: int, bw_hz: int, crc_and_symbols: int, symbols_low: int) -> None:
        self._set_mode(_STANDBY)
        self._write(_IRQ_FLAGS, b"\xff")
        self._write(_FRF, frequency(freq_hz))
        self._write(_MODEM_CONFIG_1, bytes((_BANDWIDTHS[bw_hz] << 4 | 2, sf << 4 | crc_and_symbols, symbols_low or 4)))
        self._write(_PREAMBLE, bytes((0, PREAMBLE_SYMBOLS)))
        self._write(_MODEM_CONFIG_3, b"\x0c" if symbol_us(sf, bw_hz) >= _LDRO_US else b"\x04")
        wide = bw_hz == 500000
        self._write(_HIGH_BW_1, b"\x02" if wide else b"\x03")  # EN 2.1
        if wide:
            self._write(_HIGH_BW_2, b"\x64")
        else:
            self._write(_IF_FREQ_2, b"\x40\0")  # EN 2.3
        self._write(_DETECT_OPTIMIZE, b"\xc3" if wide else b"\x43")

    def _power(self, power_dbm: int) -> None:
        # DS 5.4.2. 20 dBm, which needs another circuit and 1 % duty cycle, is not built.
        if self._boost:
            self._write(_PA_CONFIG, bytes((0xF0 | max(2, min(power_dbm, 17)) - 2,)))
        else:
            self._write(_PA_CONFIG, bytes((0x70 | max(0, min(power_dbm, 14)),)))

    # the bus

    def _set_mode(self, mode: int) -> None:
        self._write(_OP_MODE, bytes((_LORA | mode,)))

    def _read(self, register: int) -> int:
        self._byte[0], self._byte[1] = register, 0
        self._bus.select(True)
        self._bus.exchange(self._byte, self._byte)
        self._bus.select(False)
        return self._byte[1]

    def _write(self, register: int, data: bytes) -> None:
        self._bus.select(True)
        self._bus.write(bytes((register | 0x80,)))
        self._bus.write(data)
        self._bus.select(False)


def frequency(freq_hz: int) -> bytes:
    """Return registers 0x06 to 0x08: Hz x 2^19 / 32 MHz (DS 4.1.4), in numbers of at most 30 bits."""
    whole, rest = divmod(freq_hz, 15625)
    word = whole * 256 + rest * 256 // 15625
    return bytes((word >> 16, word >> 8 & 0xFF, word & 0xFF))
