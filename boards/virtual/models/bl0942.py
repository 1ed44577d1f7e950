# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""BL0942 energy meter on a UART (Shanghai Belling BL0942 data sheet V1.06, register list and UART interface).

Read of the full packet: command 0x58|address, 0xAA -> 23 bytes: 0x55, I_RMS, V_RMS, I_FAST_RMS, WATT (signed), CF_CNT
(3 bytes each, low byte first), FREQ (2), 0, STATUS, 0, 0, checksum = inverted low byte of the sum of the command byte
and all before it. Conversions of the same sheet, with V(v), I(v) the RMS mV at the chip's pins and Vref = 1.218 V:
I_RMS = 305978 I(v)/Vref, V_RMS = 73989 V(v)/Vref, WATT = 3537 I(v) V(v) cos phi/Vref^2, FREQ = 1000000/f (f in Hz).
Energy of one CF pulse = 1638.4 * 256 WATT-steps * seconds.
"""

import struct
from typing import Literal

from pydantic import Field

from boards.virtual.buses import Buses
from boards.virtual.environment import Environment
from boards.virtual.models import ModelConfig
from boards.virtual.pins import PinBank

READ, WRITE = 0x58, 0xA8
FULL_PACKET, HEADER = 0xAA, 0x55
V_REF = 1.218
CF_WATT_SECONDS = 1638.4 * 256

REGISTER_BYTES = {0x03: 3, 0x04: 3, 0x05: 3, 0x06: 3, 0x07: 3, 0x08: 2, 0x09: 1}
# Registers 0x12..0x1D with their values after power-on; MODE 0x19 is 0x87.
SETTINGS = {register: b"\x00\x00\x00" for register in range(0x12, 0x1E)} | {0x14: b"\x0b\0\0", 0x19: b"\x87\0\0"}
WRITE_BYTES = 6
I_RMS, V_RMS, I_FAST_RMS, WATT, CF_CNT, FREQ, STATUS = REGISTER_BYTES


class Config(ModelConfig):
    """UART, speed and the resistors around the chip."""

    model: Literal["bl0942"]
    uart: int
    baud: Literal[4800, 9600, 19200, 38400]
    address: int = Field(ge=0, le=3)
    shunt_mohm: float = Field(gt=0)
    divider_upper_kohm: float = Field(gt=0)
    divider_lower_kohm: float = Field(gt=0)

    def place(self) -> tuple[str, int, int]:
        """One chip to a UART."""
        return ("uart", self.uart, 0)

    @property
    def volts_per_step(self) -> float:
        """Mains volts of one V_RMS step."""
        ratio = self.divider_lower_kohm / (self.divider_upper_kohm + self.divider_lower_kohm)
        return V_REF / (73989 * ratio * 1000)

    @property
    def amperes_per_step(self) -> float:
        """Amperes of one I_RMS step."""
        return V_REF / (305978 * self.shunt_mohm)

    @property
    def watts_per_step(self) -> float:
        """Watts of one WATT step."""
        return self.volts_per_step * self.amperes_per_step * 73989 * 305978 / 3537

    @property
    def wh_per_pulse(self) -> float:
        """Watt-hours of one CF_CNT step."""
        return self.watts_per_step * CF_WATT_SECONDS / 3600


def checksum(command: int, body: bytes) -> int:
    """Last byte of every answer."""
    return ~(command + sum(body)) & 0xFF


class Chip:
    """The meter: measures mains_voltage_v, load_current_a and load_power_w."""

    def __init__(self, config: Config, pins: PinBank, buses: Buses, environment: Environment) -> None:
        self._config, self._environment = config, environment
        self._command = b""
        self._settings = dict(SETTINGS)
        self.baud: int = config.baud
        uart = buses.uart[config.uart]
        uart.device = self

    def receive(self, data: bytes) -> bytes:
        """Answers to whole read commands; anything else is skipped byte by byte."""
        self._command += data
        reply = b""
        while len(self._command) >= 2:
            first, register = self._command[:2]
            if first == READ | self._config.address:
                self._command = self._command[2:]
                reply += self._answer(first, register)
            elif first == WRITE | self._config.address:
                if len(self._command) < WRITE_BYTES:
                    break
                self._write(self._command[:WRITE_BYTES])
                self._command = self._command[WRITE_BYTES:]
            else:
                self._command = self._command[1:]
        return reply

    def _write(self, frame: bytes) -> None:
        # Settings are kept and read back; none of them changes what this model measures.
        if frame[-1] == ~sum(frame[:-1]) & 0xFF and frame[1] in SETTINGS:
            self._settings[frame[1]] = frame[2:5]

    def _answer(self, command: int, register: int) -> bytes:
        if register == FULL_PACKET:
            body = bytes([HEADER]) + self._packet()
            return body + bytes([checksum(command, body)])
        if register in REGISTER_BYTES or register in SETTINGS:
            body = self._settings.get(register) or self._register(register).ljust(3, b"\x00")
            return body + bytes([checksum(command + register, body)])
        return b""

    def _packet(self) -> bytes:
        return (
            b"".join(self._register(r) for r in (I_RMS, V_RMS, I_FAST_RMS, WATT, CF_CNT, FREQ))
            + b"\x00"
            + (self._register(STATUS) + b"\x00\x00")
        )

    def _register(self, register: int) -> bytes:
        value = round(self._values()[register])
        size = REGISTER_BYTES[register]
        return struct.pack("<i", value % (1 << 8 * size) if value >= 0 else value)[:size]

    def _values(self) -> dict[int, float]:
        get, config = self._environment.get, self._config
        current = get("load_current_a") / config.amperes_per_step
        return {
            I_RMS: current,
            V_RMS: get("mains_voltage_v") / config.volts_per_step,
            I_FAST_RMS: current,
            WATT: get("load_power_w") / config.watts_per_step,
            CF_CNT: get("load_energy_wh") // config.wh_per_pulse,
            FREQ: 1_000_000 / get("mains_frequency_hz"),
            STATUS: 0,
        }

    def state(self) -> dict[str, float]:
        """Raw V_RMS and WATT."""
        values = self._values()
        return {"v_rms": values[V_RMS], "watt": values[WATT]}
