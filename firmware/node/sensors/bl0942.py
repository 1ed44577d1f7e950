# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Belling BL0942 energy meter on a UART.

DS = BL0942 data sheet V1.06: section 3.2.6 for the packet that answers 0x58 0xAA, section 2.6 and 2.7 for the formulas,
chapter 1 for the typical application: 1 milliohm shunt, 5 x 390 kiloohm over 510 ohm divider, Vref 1.218 V.
"""

import asyncio
import errno

_READ = b"\x58\xaa"  # read command for chip address 0; 0xAA asks for the full packet
_PACKET_LEN = 23
_HEADER = 0x55

_VREF = 1.218
_DIVIDER = 0.51 / (1950 + 0.51)  # V at the mains becomes this at the pin
_PER_A = 305978 / _VREF  # I_RMS = 305978 x I / Vref, I in mV at the shunt: 1 mV per A
_PER_V = 73989 * _DIVIDER * 1000 / _VREF  # V_RMS = 73989 x V / Vref, V in mV at the pin
_PER_W = 3537 * _DIVIDER * 1000 / (_VREF * _VREF)  # WATT = 3537 x I x V x cos(phi) / Vref^2
_PULSES_PER_WH = _PER_W * 3600 / (1638.4 * 256)  # one CF pulse takes 1638.4 x 256 / WATT seconds
_PULSES_WRAP = 1 << 24  # CF_CNT has 24 bits

_POLL_MS = 10
_TIMEOUT_MS = 200  # 23 bytes of 11 bits at 4800 baud take 53 ms


class Measurement:
    """One packet in physical units. *pulses* is the chip's energy count since its own power-on."""

    def __init__(self, voltage_v: float, current_a: float, power_w: float, pulses: int) -> None:
        self.voltage_v = voltage_v
        self.current_a = current_a
        self.power_w = power_w
        self.pulses = pulses


class Bl0942:
    """*uart* is a machine.UART at the chip's rate (4800 baud after power-on), 8 data bits, no parity."""

    pulses_per_wh = _PULSES_PER_WH
    pulses_wrap = _PULSES_WRAP

    def __init__(self, uart) -> None:
        self._uart = uart

    async def read(self) -> Measurement:
        """Ask for a packet and return it decoded. Raises OSError when none comes, or only damaged ones."""
        while self._uart.any():  # what is left of an answer that came too late
            self._uart.read(self._uart.any())
        self._uart.write(_READ)
        received = b""
        for _ in range(_TIMEOUT_MS // _POLL_MS):
            await asyncio.sleep_ms(_POLL_MS)
            waiting = self._uart.any()
            if waiting:
                received += self._uart.read(waiting) or b""
                packet = find_packet(received)
                if packet is not None:
                    return decode(packet)
        raise OSError(errno.ETIMEDOUT if not received else errno.EIO)


def find_packet(received: bytes) -> bytes | None:
    """Return the first whole packet with a right checksum, whatever noise stands before it."""
    start = received.find(b"\x55")
    while start >= 0 and start + _PACKET_LEN <= len(received):
        packet = received[start : start + _PACKET_LEN]
        if checksum(packet[:-1]) == packet[-1]:
            return packet
        start = received.find(b"\x55", start + 1)
    return None


def checksum(body: bytes) -> int:
    """Return the inverted sum of the read command and the packet's first 22 bytes, modulo 256 (DS section 3.2.6)."""
    return (_READ[0] + sum(body)) & 0xFF ^ 0xFF


def decode(packet: bytes) -> Measurement:
    """Return the values of a packet: 0x55, I_RMS, V_RMS, I_FAST_RMS, WATT, CF_CNT (24 bits each, LSB first), FREQ...

    A transformer or shunt that is wired the other way round gives a negative WATT; a lamp only ever draws.
    """
    watt = _u24(packet, 10)
    if watt >= 1 << 23:
        watt -= 1 << 24
    return Measurement(_u24(packet, 4) / _PER_V, _u24(packet, 1) / _PER_A, abs(watt) / _PER_W, _u24(packet, 13))


def _u24(packet: bytes, at: int) -> int:
    return packet[at] | packet[at + 1] << 8 | packet[at + 2] << 16
