# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Semtech SX1261 or SX1262 at the level of its SPI commands and registers, with its modem in the virtual air.

DS = SX1261/2 data sheet rev. 2.1. Simulated: LoRa with explicit headers at 125 to 500 kHz, sleep with and without
retention, calibration, a TCXO, the errata of DS 15.1, 15.2 and 15.4. Not simulated: GFSK, CAD, RX duty cycle.
"""

from collections import deque
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.models._lines import BusyLine, InputLine, OutputLine, ResetLine
from boards.virtual.models._lora_modem import Heard, LoraModem
from boards.virtual.models._radio_faults import BUSY_STUCK, IRQ_LOST, TCXO_DEAD, Faults
from boards.virtual.models._sx126x.execution import Execution
from boards.virtual.models._sx126x.opcodes import ALL_IRQ, COMMANDS, NOT_SIMULATED, Irq, Mode
from boards.virtual.models._sx126x.registers import Registers
from boards.virtual.models._sx126x.settings import Settings
from boards.virtual.pins import PinBank
from boards.virtual.protocol import Misuse

COLD_START_US = 3500  # DS table 8-2
WARM_START_US = 340
XOSC_START_ERROR = 0x20  # DS table 13-85
BUFFER_BYTES = 256
COMMANDS_KEPT = 512


class Config(ModelConfig):
    """Pins, and the clock on the module: tcxo_mv 0 means a crystal."""

    model: Literal["sx126x"]
    spi: int
    cs: int
    busy: int
    reset: int
    dio1: int
    tcxo_mv: int = Field(default=0, ge=0, le=3300)
    tcxo_start_us: int = Field(default=2000, ge=0, le=100_000)

    def gpio(self) -> dict[str, int]:
        """The lines."""
        return {"cs": self.cs, "busy": self.busy, "reset": self.reset, "dio1": self.dio1}

    def place(self) -> tuple[str, int, int]:
        """One chip to a chip select."""
        return ("spi", self.spi, self.cs)


class Chip:
    """Takes bytes from SPI and moves its lines."""

    max_hz = 16_000_000  # DS table 3-14

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._buses = config, buses
        self.faults, self._now_us = Faults(environment), environment.now_us
        self.modem = LoraModem(self, environment.site, buses.complain)
        self.registers, self.settings = Registers(), Settings()
        self.buffer = bytearray(BUFFER_BYTES)
        self.mode, self.command_status, self.errors, self.irq = Mode.STBY_RC, 1, 0, 0
        self.rx_pointer, self.rx_start, self.last = 0, 0, Heard(b"", 0, 0.0, True)
        self.commands: deque[bytes] = deque(maxlen=COMMANDS_KEPT)
        self._findings: set[str] = set()
        self._frame = bytearray()
        self._dio1 = OutputLine(pins, config.dio1)
        self.busy = BusyLine(pins, config.busy, lambda: self.faults.on(BUSY_STUCK))
        self._powered = False
        self._execution = Execution(self)
        self._select = InputLine(pins, config.cs, self._selected)
        ResetLine(pins, config.reset, self._reset_line, buses.complain, environment.now_us)
        buses.spi[config.spi].devices[config.cs] = self

    # Power and reset

    def power(self, on: bool) -> None:
        """The board's supply comes or goes."""
        self._powered = on
        self.modem.power(on)
        if on:
            self._start()
        else:
            self.busy.off()
            self._dio1.set(0)

    def _reset_line(self, low: bool) -> None:
        if not self._powered:
            return
        self.modem.stop(self._now_us())
        if low:
            self.busy.hold(None)
        else:
            self._start()

    def _start(self) -> None:
        self.forget()
        self.busy.hold(COLD_START_US)

    def forget(self) -> None:
        """As after power-on."""
        self.registers.reset()
        self.settings = Settings()
        self.mode, self.command_status, self.irq = Mode.STBY_RC, 1, 0
        # It has tried to start a crystal that is not there.
        self.errors = XOSC_START_ERROR if self._config.tcxo_mv else 0
        self.buffer[:] = bytes(BUFFER_BYTES)
        self._frame.clear()
        self.show_irq(None)

    def start_clock(self) -> bool:
        """Whether the chip's 32 MHz run; if not, the error is noted and the chip is back in STDBY_RC."""
        config, settings = self._config, self.settings
        feeds = settings.tcxo_mv >= config.tcxo_mv and settings.tcxo_us >= config.tcxo_start_us
        if self.faults.on(TCXO_DEAD) or (config.tcxo_mv and not feeds):
            self.errors |= XOSC_START_ERROR
            self.mode, self.command_status = Mode.STBY_RC, 5
            return False
        return True

    # SPI

    def transfer(self, data: bytes) -> bytes:
        """Bytes while chip select is low; what a command does happens when it rises."""
        answer = bytearray()
        for byte in data:
            if not self._frame:
                self._check_start(byte)
            answer.append(self._answer(len(self._frame)))
            self._frame.append(byte)
        return bytes(answer)

    def _check_start(self, opcode: int) -> None:
        if self.busy.high:
            raise Misuse(f"SX126x: command {opcode:#04x} while BUSY is high: the chip does not take it")
        if opcode in NOT_SIMULATED:
            raise Misuse(f"SX126x: {NOT_SIMULATED[opcode]} ({opcode:#04x}) is not simulated")
        if opcode not in COMMANDS:
            raise Misuse(f"SX126x: unknown opcode {opcode:#04x}")
        command = COMMANDS[opcode]
        if self.mode not in command.modes:
            allowed = ", ".join(mode.name for mode in sorted(command.modes))
            raise Misuse(f"SX126x: {command.name} in {self.mode.name}; allowed in {allowed}")

    def _answer(self, index: int) -> int:
        status = self.mode << 4 | self.command_status << 1
        if not self._frame:
            return status
        command = COMMANDS[self._frame[0]]
        place = index - 1 - command.size
        return self._execution.read(bytes(self._frame), place) if command.reads and place >= 0 else status

    def _selected(self, low: bool) -> None:
        if not self._powered:
            return
        if low:
            self._frame.clear()
            if self.mode == Mode.SLEEP:
                self._wake()
            return
        frame = bytes(self._frame)
        self._frame.clear()
        if frame:
            self._end_of_command(frame)

    def _wake(self) -> None:
        warm = self._execution.warm_sleep
        if warm:
            self.registers.wake_warm()
        else:
            self.forget()
        self.mode = Mode.STBY_RC
        self.busy.hold(WARM_START_US if warm else COLD_START_US)

    def _end_of_command(self, frame: bytes) -> None:
        command = COMMANDS[frame[0]]
        self.commands.append(frame)
        given = len(frame) - 1
        if given != command.size and not (command.more and given > command.size) and frame[0] != 0xC0:
            raise Misuse(f"SX126x: {command.name} with {given} bytes behind the opcode: {command.size} belong there")
        now_us = self._now_us()
        at_us = max(self._buses.moment_us or now_us, now_us - self.modem.slack_us)
        if not command.reads:
            self.command_status = 1
            self._execution.run(frame, at_us)
        if self.faults.on(BUSY_STUCK):
            self.busy.hold(None)

    def finding(self, text: str) -> None:
        """Something that works on the desk and fails in the field; told once."""
        if text not in self._findings:
            self._findings.add(text)
            self._buses.complain(f"SX126x: {text}")

    # Interrupts

    def raise_irq(self, flags: int, at_us: int) -> None:
        """Set flags that are not masked; DIO1 follows."""
        self.irq |= flags & self.settings.irq_mask & ALL_IRQ
        self.show_irq(at_us)

    def show_irq(self, at_us: int | None) -> None:
        """Drive DIO1."""
        level = int(bool(self.irq & self.settings.dio1_mask)) and not self.faults.on(IRQ_LOST)
        if level != self._dio1.level:
            self._dio1.set(int(level), at_us)

    # The modem says

    def on_sent(self, at_us: int) -> None:
        """TxDone."""
        self._fall_back()
        self.command_status = 6
        self.raise_irq(Irq.TX_DONE, at_us)

    def on_preamble(self, at_us: int) -> None:
        """PreambleDetected."""
        self.raise_irq(Irq.PREAMBLE, at_us)

    def on_header(self, at_us: int) -> None:
        """SyncWordValid and HeaderValid."""
        self.raise_irq(Irq.SYNC_WORD | Irq.HEADER_VALID, at_us)

    def on_heard(self, at_us: int, heard: Heard) -> None:
        """RxDone; the data lie where the last frame of a continuous reception ended."""
        self.last = self.faults.damage(heard)
        self.rx_start = self.rx_pointer
        for byte in self.last.data:
            self.buffer[self.rx_pointer] = byte
            self.rx_pointer = (self.rx_pointer + 1) % BUFFER_BYTES
        if not self._execution.continuous:
            self._fall_back()
        self.raise_irq(Irq.RX_DONE | (0 if self.last.crc_ok else Irq.CRC_ERROR), at_us)

    def on_timeout(self, at_us: int) -> None:
        """Timeout of SetTx, SetRx or the symbols."""
        self._fall_back()
        self.command_status = 3
        self.raise_irq(Irq.TIMEOUT, at_us)

    def _fall_back(self) -> None:
        self.mode = {0x20: Mode.STBY_RC, 0x30: Mode.STBY_XOSC, 0x40: Mode.FS}[self.settings.fallback]

    def state(self) -> dict[str, float]:
        """Mode and flags as the chip's own numbers, frames, commands."""
        return {
            "mode": float(self.mode),
            "irq": float(self.irq),
            "errors": float(self.errors),
            "frames_sent": float(self.modem.frames_sent),
            "frames_heard": float(self.modem.frames_heard),
        }
