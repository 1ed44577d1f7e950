# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech SX1276 at the level of its registers, with its modem in the virtual air.

DS = SX1276/77/78/79 data sheet rev. 7. Simulated: LoRa with explicit headers at 125 to 500 kHz, the FIFO, single and
continuous reception, both interrupt lines, image calibration. Not simulated: FSK frames, CAD, frequency hopping.
"""

import asyncio
from typing import Literal

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._lines import InputLine, OutputLine, ResetLine
from boards.virtual.models._lora_modem import Heard, LoraModem
from boards.virtual.models._radio_faults import IRQ_LOST, TCXO_DEAD, Faults
from boards.virtual.models._sx127x.registers import Flag, Mode, Registers
from boards.virtual.models._sx127x.registers import Register as Reg
from boards.virtual.pins import PinBank
from boards.virtual.protocol import Misuse

START_UP_US = 5000  # DS 7.2
IMAGE_CALIBRATION_US = 5000  # DS 2.1.3.8: 10 ms at most
TX_START_US = 120
RX_START_US = 110
FIFO_BYTES = 256


class Config(ModelConfig):
    """Pins."""

    model: Literal["sx127x"]
    spi: int
    cs: int
    reset: int
    dio0: int
    dio1: int

    def gpio(self) -> dict[str, int]:
        """The lines."""
        return {"cs": self.cs, "reset": self.reset, "dio0": self.dio0, "dio1": self.dio1}

    def place(self) -> tuple[str, int, int]:
        """One chip to a chip select."""
        return ("spi", self.spi, self.cs)


class Chip:
    """Takes bytes from SPI and moves its lines."""

    max_hz = 10_000_000  # DS table 13

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._buses = buses
        self.faults, self._now_us = Faults(environment), environment.now_us
        self.modem = LoraModem(self, environment.site, buses.complain)
        self.registers = Registers()
        self._fifo = bytearray(FIFO_BYTES)
        self._rx_at = 0
        self._ready_us = 0
        self._powered = False
        self._frame = bytearray()
        self._dio = OutputLine(pins, config.dio0), OutputLine(pins, config.dio1)
        InputLine(pins, config.cs, self._selected)
        ResetLine(pins, config.reset, self._reset_line, buses.complain, environment.now_us)
        buses.spi[config.spi].devices[config.cs] = self

    # Power and reset

    def power(self, on: bool) -> None:
        """The board's supply comes or goes."""
        self._powered = on
        self.modem.power(on)
        self._start()

    def _reset_line(self, low: bool) -> None:
        if self._powered:
            self.modem.stop(self._now_us())
            self._start()

    def _start(self) -> None:
        self.registers.reset()
        self._ready_us = self._now_us() + START_UP_US
        self._frame.clear()
        self._show(None)

    # SPI

    def transfer(self, data: bytes) -> bytes:
        """The first byte of a selection is the address, bit 7 set for writing; then data."""
        answer = bytearray()
        for byte in data:
            if not self._frame:
                if self._now_us() < self._ready_us:
                    raise Misuse("SX127x: SPI within 5 ms after reset: the chip is not ready")
                self._frame.append(byte)
                answer.append(0)
                continue
            answer.append(self._access(byte))
        return bytes(answer)

    def _access(self, byte: int) -> int:
        address, writes = self._frame[0] & 0x7F, bool(self._frame[0] & 0x80)
        if address == Reg.FIFO:
            return self._access_fifo(byte, writes)
        self._frame[0] += 1  # the next data byte belongs to the next register
        old = self.registers.read(address)
        if writes:
            self._write(address, byte)
        return old

    def _access_fifo(self, byte: int, writes: bool) -> int:
        if self.registers.mode == Mode.SLEEP:
            raise Misuse("SX127x: the FIFO cannot be used in sleep (DS 4.1.2.3)")
        at = self.registers[Reg.FIFO_ADDR]
        self.registers[Reg.FIFO_ADDR] = (at + 1) % FIFO_BYTES
        old = self._fifo[at]
        if writes:
            self._fifo[at] = byte
        return old

    def _selected(self, low: bool) -> None:
        self._frame.clear()

    def _write(self, address: int, value: int) -> None:
        registers = self.registers
        if address == Reg.OP_MODE:
            self._set_mode(value)
        elif address == Reg.IRQ_FLAGS:
            registers[Reg.IRQ_FLAGS] &= ~value
        elif not registers.long_range and address == Reg.IMAGE_CAL:
            self._calibrate_image(value)
        else:
            registers.write(address, value)
        self._show(None)

    def _calibrate_image(self, value: int) -> None:
        if not value & 0x40:
            return
        if self.registers.mode != Mode.STANDBY:
            raise Misuse("SX127x: image calibration outside standby (DS 2.1.3.8)")
        self.registers.image_running = True

        def done() -> None:
            self.registers.image_running = False
            self.registers.image_hz = self.registers.freq_hz

        asyncio.get_running_loop().call_later(IMAGE_CALIBRATION_US / 1e6, done)

    # Modes

    def _set_mode(self, value: int) -> None:
        registers, at_us = self.registers, self._moment_us()
        mode = Mode(value & 7)
        if bool(value & 0x80) != registers.long_range and registers.mode != Mode.SLEEP:
            raise Misuse(f"SX127x: OpMode {value:#04x}: LoRa is switched on and off in sleep only (DS 4.1.6)")
        carries = mode == Mode.TX and registers.fsk_continuous and not registers[Reg.FDEV] | registers[Reg.FDEV + 1]
        if not value & 0x80 and mode not in (Mode.SLEEP, Mode.STANDBY) and not carries:
            raise Misuse(f"SX127x: OpMode {value:#04x}: FSK frames are not simulated")
        if mode in (Mode.FS_TX, Mode.FS_RX, Mode.CAD):
            raise Misuse(f"SX127x: mode {mode.name} is not simulated")
        if mode != Mode.SLEEP and self.faults.on(TCXO_DEAD):
            mode = Mode.SLEEP
        if mode == registers.mode in (Mode.RX_CONTINUOUS, Mode.RX_SINGLE, Mode.TX):
            return
        self.modem.stop(at_us)
        registers[Reg.OP_MODE] = value & 0xF8 | mode
        if mode == Mode.SLEEP:
            self._fifo[:] = bytes(FIFO_BYTES)
        elif mode == Mode.TX and not value & 0x80:
            self.modem.carry(at_us + TX_START_US, registers.freq_hz, registers.power_dbm)
        elif mode == Mode.TX:
            self._transmit(at_us + TX_START_US)
        elif mode in (Mode.RX_CONTINUOUS, Mode.RX_SINGLE):
            self._listen(at_us + RX_START_US, mode == Mode.RX_SINGLE)

    def _moment_us(self) -> int:
        now_us = self._now_us()
        return max(self._buses.moment_us or now_us, now_us - self.modem.slack_us)

    def _transmit(self, at_us: int) -> None:
        registers = self.registers
        registers.check("TX")
        inverted = not registers[Reg.INVERT_IQ] & 0x01
        base = registers[Reg.FIFO_TX_BASE]
        data = bytes(self._fifo[(base + i) % FIFO_BYTES] for i in range(registers[Reg.PAYLOAD_LENGTH]))
        self.modem.send(
            at_us,
            registers.tuning(inverted),
            data,
            crc=bool(registers[Reg.MODEM_CONFIG_2] & 0x04),
            cr=registers.coding_rate,
            preamble=registers.preamble,
            power_dbm=registers.power_dbm,
            timeout_us=0,
        )

    def _listen(self, at_us: int, single: bool) -> None:
        registers = self.registers
        registers.check("RX")
        if abs(registers.image_hz - registers.freq_hz) > 10_000_000:
            self._buses.complain(f"SX127x: listens at {registers.freq_hz} Hz, calibrated at {registers.image_hz} Hz")
        inverted = bool(registers[Reg.INVERT_IQ] & 0x40)
        self._rx_at = registers[Reg.FIFO_RX_BASE]
        self.modem.listen(
            at_us,
            registers.tuning(inverted),
            symbols=registers.symbol_timeout if single else 0,
            single=single,
            deaf=inverted != (registers[Reg.INVERT_IQ_2] == 0x19),
        )

    # The modem says

    def on_sent(self, at_us: int) -> None:
        """TxDone."""
        self._standby()
        self._raise(Flag.TX_DONE, at_us)

    def on_preamble(self, at_us: int) -> None:
        """There is no flag for that."""

    def on_header(self, at_us: int) -> None:
        """ValidHeader."""
        self._raise(Flag.VALID_HEADER, at_us)

    def on_heard(self, at_us: int, heard: Heard) -> None:
        """RxDone."""
        registers, heard = self.registers, self.faults.damage(heard)
        registers[Reg.FIFO_RX_CURRENT], registers[Reg.RX_BYTES] = self._rx_at, len(heard.data)
        for byte in heard.data:
            self._fifo[self._rx_at] = byte
            self._rx_at = (self._rx_at + 1) % FIFO_BYTES
        registers[Reg.PKT_SNR] = round(heard.snr_db * 4) & 0xFF
        above = heard.rssi_dbm + 157  # DS 5.5.5, the high-frequency port
        registers[Reg.PKT_RSSI] = max(0, min(255, round(above - heard.snr_db if heard.snr_db < 0 else above * 15 / 16)))
        if registers.mode == Mode.RX_SINGLE:
            self._standby()
        self._raise(Flag.RX_DONE | (0 if heard.crc_ok else Flag.CRC_ERROR), at_us)

    def on_timeout(self, at_us: int) -> None:
        """RxTimeout."""
        self._standby()
        self._raise(Flag.RX_TIMEOUT, at_us)

    def _standby(self) -> None:
        self.registers[Reg.OP_MODE] = self.registers[Reg.OP_MODE] & 0xF8 | Mode.STANDBY

    def _raise(self, flags: int, at_us: int) -> None:
        self.registers[Reg.IRQ_FLAGS] |= flags & ~self.registers[Reg.IRQ_MASK]
        self._show(at_us)

    def _show(self, at_us: int | None) -> None:
        mapping, flags = self.registers[Reg.DIO_MAPPING], self.registers[Reg.IRQ_FLAGS]
        shown = {0: Flag.RX_DONE, 1: Flag.TX_DONE}.get(mapping >> 6, 0), Flag.RX_TIMEOUT if not mapping & 0x30 else 0
        for line, flag in zip(self._dio, shown, strict=True):
            level = int(bool(flags & flag) and not self.faults.on(IRQ_LOST))
            if level != line.level:
                line.set(level, at_us)

    def state(self) -> dict[str, float]:
        """Mode and flags as the chip's own numbers, frames."""
        return {
            "mode": float(self.registers[Reg.OP_MODE]),
            "irq": float(self.registers[Reg.IRQ_FLAGS]),
            "frames_sent": float(self.modem.frames_sent),
            "frames_heard": float(self.modem.frames_heard),
        }
