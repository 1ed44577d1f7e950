# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Commands of the SX126x: names, lengths, and the modes in which they may be sent.

DS = SX1261/2 data sheet rev. 2.1, chapter 13; modes from chapter 9 and the commands' own text.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag


class Mode(IntEnum):
    """Chip modes, numbered as in the status byte (DS table 13-76); SLEEP is never seen there."""

    SLEEP = 0
    STBY_RC = 2
    STBY_XOSC = 3
    FS = 4
    RX = 5
    TX = 6


class Irq(IntFlag):
    """Interrupt flags, DS table 13-29."""

    TX_DONE = 0x001
    RX_DONE = 0x002
    PREAMBLE = 0x004
    SYNC_WORD = 0x008
    HEADER_VALID = 0x010
    HEADER_ERROR = 0x020
    CRC_ERROR = 0x040
    TIMEOUT = 0x200


ALL_IRQ = 0x3FF

STANDBY = frozenset((Mode.STBY_RC, Mode.STBY_XOSC))
IDLE = STANDBY | {Mode.FS}
AWAKE = IDLE | {Mode.RX, Mode.TX}


@dataclass(frozen=True)
class Command:
    """A command: bytes behind the opcode (for reads: up to where the answer begins), and where it is allowed."""

    name: str
    size: int
    modes: frozenset[Mode] = AWAKE
    more: bool = False
    """Data may follow."""
    reads: bool = False


COMMANDS = {
    0x84: Command("SetSleep", 1, STANDBY),
    0x80: Command("SetStandby", 1),
    0xC1: Command("SetFs", 0),
    0xD1: Command("SetTxContinuousWave", 0, IDLE),
    0x83: Command("SetTx", 3, IDLE),
    0x82: Command("SetRx", 3, IDLE | {Mode.RX}),
    0x9F: Command("StopTimerOnPreamble", 1),
    0x96: Command("SetRegulatorMode", 1, STANDBY),
    0x89: Command("Calibrate", 1, frozenset((Mode.STBY_RC,))),
    0x98: Command("CalibrateImage", 2, STANDBY),
    0x95: Command("SetPaConfig", 4, IDLE),
    0x93: Command("SetRxTxFallbackMode", 1),
    0x0D: Command("WriteRegister", 2, more=True),
    0x1D: Command("ReadRegister", 3, more=True, reads=True),
    0x0E: Command("WriteBuffer", 1, more=True),
    0x1E: Command("ReadBuffer", 2, more=True, reads=True),
    0x08: Command("SetDioIrqParams", 8),
    0x12: Command("GetIrqStatus", 1, more=True, reads=True),
    0x02: Command("ClearIrqStatus", 2),
    0x9D: Command("SetDio2AsRfSwitchCtrl", 1, STANDBY),
    0x97: Command("SetDio3AsTcxoCtrl", 4, frozenset((Mode.STBY_RC,))),
    0x86: Command("SetRfFrequency", 4),
    0x8A: Command("SetPacketType", 1, STANDBY),
    0x11: Command("GetPacketType", 1, more=True, reads=True),
    0x8E: Command("SetTxParams", 2),
    0x8B: Command("SetModulationParams", 4, IDLE),
    0x8C: Command("SetPacketParams", 6, IDLE),
    0x8F: Command("SetBufferBaseAddress", 2),
    0xA0: Command("SetLoRaSymbNumTimeout", 1),
    0xC0: Command("GetStatus", 0, more=True, reads=True),
    0x15: Command("GetRssiInst", 1, more=True, reads=True),
    0x13: Command("GetRxBufferStatus", 1, more=True, reads=True),
    0x14: Command("GetPacketStatus", 1, more=True, reads=True),
    0x17: Command("GetDeviceErrors", 1, more=True, reads=True),
    0x07: Command("ClearDeviceErrors", 2),
}

# Known to the chip, not to this model.
NOT_SIMULATED = {
    0x94: "SetRxDutyCycle",
    0xC5: "SetCad",
    0xD2: "SetTxInfinitePreamble",
    0x88: "SetCadParams",
    0x10: "GetStats",
    0x00: "ResetStats",
}
