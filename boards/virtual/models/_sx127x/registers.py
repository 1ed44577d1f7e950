# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Registers of the SX1276: which there are, how they start, and what they mean to the modem.

DS = SX1276/77/78/79 data sheet rev. 7, table 41 for addresses and reset values, 6.4 for the meaning in LoRa mode.
"""

from enum import IntEnum, IntFlag

from boards.virtual.models._lora_modem import Tuning
from boards.virtual.protocol import Misuse, UnknownPart


class Register(IntEnum):
    """Addresses; those from 0x0D to 0x3F belong to LoRa mode."""

    FIFO = 0x00
    OP_MODE = 0x01
    FDEV = 0x04
    FRF = 0x06
    PA_CONFIG = 0x09
    PA_RAMP = 0x0A
    OCP = 0x0B
    LNA = 0x0C
    FIFO_ADDR = 0x0D
    FIFO_TX_BASE = 0x0E
    FIFO_RX_BASE = 0x0F
    FIFO_RX_CURRENT = 0x10
    IRQ_MASK = 0x11
    IRQ_FLAGS = 0x12
    RX_BYTES = 0x13
    PKT_SNR = 0x19
    PKT_RSSI = 0x1A
    MODEM_CONFIG_1 = 0x1D
    MODEM_CONFIG_2 = 0x1E
    SYMBOL_TIMEOUT = 0x1F
    PREAMBLE = 0x20
    PAYLOAD_LENGTH = 0x22
    MAX_PAYLOAD_LENGTH = 0x23
    HOP_PERIOD = 0x24
    MODEM_CONFIG_3 = 0x26
    IF_FREQ_2 = 0x2F
    IF_FREQ_1 = 0x30
    DETECT_OPTIMIZE = 0x31
    PACKET_CONFIG_2 = 0x31  # the same address in FSK mode
    INVERT_IQ = 0x33
    HIGH_BW_1 = 0x36
    DETECTION_THRESHOLD = 0x37
    SYNC_WORD = 0x39
    HIGH_BW_2 = 0x3A
    INVERT_IQ_2 = 0x3B
    IMAGE_CAL = 0x3B  # the same address in FSK mode
    DIO_MAPPING = 0x40
    VERSION = 0x42
    TCXO = 0x4B
    PA_DAC = 0x4D


_RESET = {
    Register.FDEV: 0x00, Register.FDEV + 1: 0x52,
    Register.OP_MODE: 0x09, Register.FRF: 0x6C, Register.FRF + 1: 0x80, Register.FRF + 2: 0x00,
    Register.PA_CONFIG: 0x4F, Register.PA_RAMP: 0x09, Register.OCP: 0x2B, Register.LNA: 0x20,
    Register.FIFO_ADDR: 0x00, Register.FIFO_TX_BASE: 0x80, Register.FIFO_RX_BASE: 0x00, Register.FIFO_RX_CURRENT: 0x00,
    Register.IRQ_MASK: 0x00, Register.IRQ_FLAGS: 0x00, Register.RX_BYTES: 0x00, Register.PKT_SNR: 0x00,
    Register.PKT_RSSI: 0x00, Register.MODEM_CONFIG_1: 0x72, Register.MODEM_CONFIG_2: 0x70,
    Register.SYMBOL_TIMEOUT: 0x64, Register.PREAMBLE: 0x00, Register.PREAMBLE + 1: 0x08,
    Register.PAYLOAD_LENGTH: 0x01, Register.MAX_PAYLOAD_LENGTH: 0xFF, Register.HOP_PERIOD: 0x00,
    Register.MODEM_CONFIG_3: 0x04, Register.IF_FREQ_2: 0x20, Register.IF_FREQ_1: 0x00,
    Register.DETECT_OPTIMIZE: 0xC3, Register.INVERT_IQ: 0x27, Register.HIGH_BW_1: 0x03,
    Register.DETECTION_THRESHOLD: 0x0A, Register.SYNC_WORD: 0x12, Register.HIGH_BW_2: 0x65,
    Register.INVERT_IQ_2: 0x1D, Register.DIO_MAPPING: 0x00, Register.DIO_MAPPING + 1: 0x00, Register.VERSION: 0x12,
    Register.TCXO: 0x09, Register.PA_DAC: 0x84,
}  # fmt: skip
_READ_ONLY = (Register.FIFO_RX_CURRENT, Register.RX_BYTES, Register.PKT_SNR, Register.PKT_RSSI, Register.VERSION)
_BANDWIDTHS_HZ = {7: 125_000, 8: 250_000, 9: 500_000}
_SELF_CALIBRATED_HZ = 434_000_000  # DS 2.1.3.8


class Mode(IntEnum):
    """OpMode bits 2 to 0, DS 4.1.6."""

    SLEEP = 0
    STANDBY = 1
    FS_TX = 2
    TX = 3
    FS_RX = 4
    RX_CONTINUOUS = 5
    RX_SINGLE = 6
    CAD = 7


class Flag(IntFlag):
    """IrqFlags."""

    RX_TIMEOUT = 0x80
    RX_DONE = 0x40
    CRC_ERROR = 0x20
    VALID_HEADER = 0x10
    TX_DONE = 0x08


class Registers:
    """One byte each."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Power-on values."""
        self._values: dict[int, int] = dict(_RESET)
        self.fsk_continuous = False
        self.image_running = False
        self.image_hz = _SELF_CALIBRATED_HZ

    def __getitem__(self, address: int) -> int:
        return self._values[address]

    def __setitem__(self, address: int, value: int) -> None:
        self._values[address] = value

    def read(self, address: int) -> int:
        """As the driver sees it."""
        self._check_page(address)
        if not self.long_range and address == Register.IMAGE_CAL:
            return 0x02 | (0x20 if self.image_running else 0)
        return self._values[address]

    def write(self, address: int, value: int) -> None:
        """As the driver sets it."""
        self._check_page(address)
        if address in _READ_ONLY:
            raise Misuse(f"SX127x: register {address:#04x} cannot be written")
        if not self.long_range and address == Register.PACKET_CONFIG_2:
            self.fsk_continuous = not value & 0x40
            return
        self._values[address] = value

    def _check_page(self, address: int) -> None:
        if address not in self._values:
            raise UnknownPart(f"SX127x: register {address:#04x} is none that this model knows; see its registers.py")
        in_fsk = (Register.IMAGE_CAL, Register.PACKET_CONFIG_2)
        if not self.long_range and 0x0D <= address <= 0x3F and address not in in_fsk:
            raise Misuse(f"SX127x: register {address:#04x} of LoRa mode while the chip is in FSK mode")

    @property
    def long_range(self) -> bool:
        """LoRa, not FSK."""
        return bool(self._values[Register.OP_MODE] & 0x80)

    @property
    def mode(self) -> Mode:
        """What the chip does."""
        return Mode(self._values[Register.OP_MODE] & 7)

    @property
    def freq_hz(self) -> int:
        """To the nearest 100 Hz; the synthesizer's step is 61 Hz."""
        frf = self[Register.FRF] << 16 | self[Register.FRF + 1] << 8 | self[Register.FRF + 2]
        return round(frf * 15625 / 25_600) * 100

    @property
    def sf(self) -> int:
        """Spreading factor."""
        return self[Register.MODEM_CONFIG_2] >> 4

    @property
    def bw_hz(self) -> int:
        """Bandwidth; UnknownPart for those that are not simulated."""
        code = self[Register.MODEM_CONFIG_1] >> 4
        if code not in _BANDWIDTHS_HZ:
            raise UnknownPart(f"SX127x: bandwidth code {code}; this model has {sorted(_BANDWIDTHS_HZ)}")
        return _BANDWIDTHS_HZ[code]

    @property
    def coding_rate(self) -> int:
        """Denominator of 4/x."""
        return (self[Register.MODEM_CONFIG_1] >> 1 & 7) + 4

    @property
    def preamble(self) -> int:
        """Symbols."""
        return self[Register.PREAMBLE] << 8 | self[Register.PREAMBLE + 1]

    @property
    def symbol_timeout(self) -> int:
        """Symbols of a single reception, 4 to 1023."""
        symbols = (self[Register.MODEM_CONFIG_2] & 3) << 8 | self[Register.SYMBOL_TIMEOUT]
        if symbols < 4:
            raise UnknownPart(f"SX127x: a time-out of {symbols} symbols; 4 is the shortest")
        return symbols

    @property
    def power_dbm(self) -> int:
        """DS 5.4.2; MaxPower 7 only at the RFO pin."""
        config = self[Register.PA_CONFIG]
        if config & 0x80:
            return 2 + (config & 0x0F) + (3 if self[Register.PA_DAC] == 0x87 else 0)
        if config & 0x70 != 0x70:
            raise UnknownPart(f"SX127x: PaConfig {config:#04x}: only MaxPower 7 is simulated at the RFO pin")
        return config & 0x0F

    def tuning(self, inverted: bool) -> Tuning:
        """For the modem."""
        return Tuning(self.freq_hz, self.sf, self.bw_hz, inverted, self[Register.SYNC_WORD])

    def check(self, what: str) -> None:
        """Misuse where the chip would work badly."""
        if not self.long_range:
            raise Misuse(f"SX127x: {what} in FSK mode is not simulated")
        if self[Register.MODEM_CONFIG_1] & 1:
            raise Misuse(f"SX127x: {what} with implicit headers is not simulated")
        slow = (1_000_000 << self.sf) // self.bw_hz >= 16_000
        if slow != bool(self[Register.MODEM_CONFIG_3] & 0x08):
            raise Misuse(f"SX127x: {what} at SF{self.sf}/{self.bw_hz} with the wrong low data rate optimisation")
        if self.bw_hz != 500_000 and self[Register.DETECT_OPTIMIZE] & 0x80:
            raise Misuse(f"SX127x: {what} at {self.bw_hz} Hz with AutomaticIFOn (errata note 2.3)")
