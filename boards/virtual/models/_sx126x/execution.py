# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the commands of the SX126x do. DS = SX1261/2 data sheet rev. 2.1; times from its table 8-2."""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from boards.virtual.models._sx126x import registers as reg
from boards.virtual.models._sx126x.opcodes import STANDBY, Mode
from boards.virtual.models._sx126x.settings import Settings, require, timer_us
from boards.virtual.protocol import Misuse

if TYPE_CHECKING:
    from boards.virtual.models.sx126x import Chip

CALIBRATION_US = 3500
IMAGE_CALIBRATION_US = 4500
CONTINUOUS = b"\xff\xff\xff"
_TO_RX_US = {Mode.STBY_RC: 83, Mode.STBY_XOSC: 62, Mode.FS: 41, Mode.RX: 0}
_TO_TX_US = {Mode.STBY_RC: 126, Mode.STBY_XOSC: 105, Mode.FS: 76}
_NOISE_RSSI = 234  # -117 dBm, in half dB


class Execution:
    """Runs commands on a chip whose mode and length have been checked."""

    def __init__(self, chip: "Chip") -> None:
        self._chip = chip
        self.warm_sleep = False
        self.continuous = False
        self._run: dict[int, Callable[[bytes, int], None]] = {
            0x84: self._sleep,
            0x80: self._standby,
            0xC1: self._fs,
            0x83: self._tx,
            0xD1: self._carrier,
            0x82: self._rx,
            0x9F: lambda data, at_us: self._flag("stop_at_preamble", data),
            0x96: lambda data, at_us: self._flag("dcdc", data),
            0x9D: lambda data, at_us: self._flag("rf_switch", data),
            0x89: self._calibrate,
            0x98: self._calibrate_image,
            0x95: lambda data, at_us: self._settings.pa_config(data),
            0x93: self._fallback,
            0x0D: self._write_registers,
            0x0E: self._write_buffer,
            0x08: self._dio_irq,
            0x02: self._clear_irq,
            0x97: lambda data, at_us: self._settings.tcxo(data),
            0x86: lambda data, at_us: self._settings.frequency(data),
            0x8A: self._packet_type,
            0x8E: lambda data, at_us: self._settings.tx_params(data),
            0x8B: lambda data, at_us: self._settings.modulation(data),
            0x8C: lambda data, at_us: self._settings.packet(data),
            0x8F: self._buffer_base,
            0xA0: self._symbols,
            0x07: self._clear_errors,
        }

    @property
    def _settings(self) -> Settings:
        return self._chip.settings

    def run(self, frame: bytes, at_us: int) -> None:
        """Do it; Misuse or UnknownPart when a driver asks for what the chip has not."""
        self._run[frame[0]](frame[1:], at_us)

    def read(self, frame: bytes, place: int) -> int:
        """The byte at that place of the answer to a reading command."""
        chip, opcode = self._chip, frame[0]
        if opcode == 0x1D:
            return chip.registers[(frame[1] << 8 | frame[2]) + place]
        if opcode == 0x1E:
            return chip.buffer[(frame[1] + place) % len(chip.buffer)]
        answers = {
            0x12: struct.pack(">H", chip.irq),
            0x11: bytes([self._settings.packet_type]),
            0x15: bytes([_NOISE_RSSI]),
            0x13: bytes([len(chip.last.data), chip.rx_start]),
            0x14: self._packet_status(),
            0x17: struct.pack(">H", chip.errors),
        }
        answer = answers.get(opcode, b"")
        return answer[place] if place < len(answer) else chip.mode << 4 | chip.command_status << 1

    def _packet_status(self) -> bytes:
        last = self._chip.last
        rssi = max(0, min(255, -2 * last.rssi_dbm))
        return bytes([rssi, round(last.snr_db * 4) & 0xFF, rssi])

    # Modes

    def _sleep(self, data: bytes, at_us: int) -> None:
        require(not data[0] & ~0x05, f"SetSleep {data[0]:#04x}")
        self.warm_sleep = bool(data[0] & 0x04)
        self._chip.mode = Mode.SLEEP
        self._chip.busy.hold(None)

    def _standby(self, data: bytes, at_us: int) -> None:
        require(data[0] <= 1, f"SetStandby {data[0]}")
        self._chip.modem.stop(at_us)
        if not data[0]:
            self._chip.mode = Mode.STBY_RC
        elif self._clock(31):
            self._chip.mode = Mode.STBY_XOSC

    def _fs(self, data: bytes, at_us: int) -> None:
        self._chip.modem.stop(at_us)
        if self._clock(50):
            self._chip.mode = Mode.FS

    def _clock(self, start_us: int) -> bool:
        """Start the clock unless it runs; BUSY is high meanwhile."""
        if self._chip.mode == Mode.STBY_RC:
            start_us += self._settings.tcxo_us
        self._chip.busy.hold(start_us)
        return self._chip.start_clock()

    def _tx(self, data: bytes, at_us: int) -> None:
        chip, settings = self._chip, self._settings
        settings.ready("SetTx")
        power_dbm = settings.power_dbm
        self._check_tx_errata()
        start_us = _TO_TX_US[chip.mode] + (settings.tcxo_us if chip.mode == Mode.STBY_RC else 0)
        chip.busy.hold(start_us)
        if not chip.start_clock():
            return
        chip.mode = Mode.TX
        payload = bytes(chip.buffer[(settings.tx_base + i) % len(chip.buffer)] for i in range(settings.length))
        chip.modem.send(
            at_us + start_us,
            settings.tuning(chip.registers.sync_word),
            payload,
            crc=settings.crc,
            cr=settings.cr,
            preamble=settings.preamble,
            power_dbm=power_dbm,
            timeout_us=timer_us(data),
        )

    def _carrier(self, data: bytes, at_us: int) -> None:
        chip, settings = self._chip, self._settings
        if not settings.freq_hz:
            raise Misuse("SX126x: SetTxContinuousWave before freq_hz was set")
        power_dbm = settings.power_dbm
        start_us = _TO_TX_US[chip.mode] + (settings.tcxo_us if chip.mode == Mode.STBY_RC else 0)
        chip.busy.hold(start_us)
        if chip.start_clock():
            chip.mode = Mode.TX
            chip.modem.carry(at_us + start_us, round(settings.freq_hz, -2), power_dbm)

    def _check_tx_errata(self) -> None:
        chip, settings = self._chip, self._settings
        wide = settings.bw_hz == 500_000
        if bool(chip.registers[reg.TX_MODULATION] & 0x04) == wide:
            chip.finding(f"bit 2 of 0x0889 is {int(wide)} at {settings.bw_hz} Hz: poor modulation quality (DS 15.1)")
        if settings.pa and settings.pa[2] == 0 and chip.registers[reg.TX_CLAMP] & 0x1E != 0x1E:
            chip.finding("0x08d8 without 0x1e: less power with a badly matched antenna (DS 15.2)")

    def _rx(self, data: bytes, at_us: int) -> None:
        chip, settings = self._chip, self._settings
        settings.ready("SetRx")
        low_mhz, high_mhz = settings.image_mhz
        if not low_mhz <= settings.freq_hz / 1e6 <= high_mhz:
            chip.finding(
                f"listens at {settings.freq_hz / 1e6} MHz, calibrated for {low_mhz} to {high_mhz} MHz (DS 9.2.1)"
            )
        start_us = _TO_RX_US[chip.mode] + (settings.tcxo_us if chip.mode == Mode.STBY_RC else 0)
        if start_us:
            chip.busy.hold(start_us)
        if not chip.start_clock():
            return
        chip.mode = Mode.RX
        chip.rx_pointer = settings.rx_base
        self.continuous = data == CONTINUOUS
        chip.modem.listen(
            at_us + start_us,
            settings.tuning(chip.registers.sync_word),
            symbols=0 if self.continuous else settings.symbols,
            timeout_us=0 if self.continuous else timer_us(data),
            stop_at_preamble=settings.stop_at_preamble,
            single=not self.continuous,
            deaf=settings.iq != chip.registers.inverted_polarity,
        )

    # Calibration

    def _calibrate(self, data: bytes, at_us: int) -> None:
        require(not data[0] & 0x80, f"Calibrate {data[0]:#04x}")
        self._chip.busy.hold(CALIBRATION_US + self._settings.tcxo_us)
        self._chip.start_clock()

    def _calibrate_image(self, data: bytes, at_us: int) -> None:
        require(data[0] < data[1], f"CalibrateImage {data.hex()}: from, to in steps of 4 MHz")
        start_us = self._settings.tcxo_us if self._chip.mode == Mode.STBY_RC else 0
        self._chip.busy.hold(IMAGE_CALIBRATION_US + start_us)
        if self._chip.start_clock():
            self._settings.image_mhz = data[0] * 4, data[1] * 4

    # Settings that need more than one line

    def _flag(self, name: str, data: bytes) -> None:
        require(data[0] <= 1, f"{name} {data[0]}: 0 or 1")
        setattr(self._settings, name, bool(data[0]))

    def _fallback(self, data: bytes, at_us: int) -> None:
        require(data[0] in (0x20, 0x30, 0x40), f"SetRxTxFallbackMode {data[0]:#04x}")
        self._settings.fallback = data[0]

    def _packet_type(self, data: bytes, at_us: int) -> None:
        require(data[0] in (0, 1, 3), f"packet type {data[0]}")
        self._settings.packet_type = data[0]

    def _symbols(self, data: bytes, at_us: int) -> None:
        require(data[0] <= 248, f"symbol time-out of {data[0]}: 248 is the longest")
        self._settings.symbols = data[0]

    def _buffer_base(self, data: bytes, at_us: int) -> None:
        self._settings.tx_base, self._settings.rx_base = data

    def _write_registers(self, data: bytes, at_us: int) -> None:
        address = int.from_bytes(data[:2], "big")
        for i, value in enumerate(data[2:]):
            self._chip.registers[address + i] = value

    def _write_buffer(self, data: bytes, at_us: int) -> None:
        if self._chip.mode not in STANDBY:
            raise Misuse(f"SX126x: WriteBuffer in {self._chip.mode.name}: the modem uses the buffer")
        for i, value in enumerate(data[1:]):
            self._chip.buffer[(data[0] + i) % len(self._chip.buffer)] = value

    def _dio_irq(self, data: bytes, at_us: int) -> None:
        self._settings.irq_mask, self._settings.dio1_mask, _, _ = struct.unpack(">4H", data)
        self._chip.show_irq(at_us)

    def _clear_irq(self, data: bytes, at_us: int) -> None:
        self._chip.irq &= ~int.from_bytes(data, "big")
        self._chip.show_irq(None)

    def _clear_errors(self, data: bytes, at_us: int) -> None:
        require(data == b"\0\0", f"ClearDeviceErrors {data.hex()}: 0000 clears all")
        self._chip.errors = 0
