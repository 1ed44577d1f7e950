# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Registers of the SX126x that drivers have a reason to touch.

DS = SX1261/2 data sheet rev. 2.1: table 12-1 for reset values, 9.6 for the retention list, chapter 15 for the errata.
What the table does not give (0x0706, 0x0902, 0x0944) starts as 0.
"""

from boards.virtual.protocol import UnknownPart

RETENTION = 0x029F
SYNC_TIMEOUT = 0x0706
IQ_POLARITY = 0x0736
SYNC_WORD = 0x0740
RANDOM = 0x0819
TX_MODULATION = 0x0889
RX_GAIN = 0x08AC
TX_CLAMP = 0x08D8
OCP = 0x08E7
RTC_CONTROL = 0x0902
XTA_TRIM = 0x0911
EVENT_MASK = 0x0944

_RETENTION_BYTES = 9  # count and four addresses
_RESET = (
    {RETENTION + i: 0 for i in range(_RETENTION_BYTES)}
    | {RANDOM + i: value for i, value in enumerate(b"\x5a\x17\xc3\x8e")}
    | {
        SYNC_TIMEOUT: 0x00,
        IQ_POLARITY: 0x0D,
        SYNC_WORD: 0x14,
        SYNC_WORD + 1: 0x24,
        TX_MODULATION: 0x01,
        RX_GAIN: 0x94,
        TX_CLAMP: 0xC8,
        OCP: 0x18,
        RTC_CONTROL: 0x00,
        XTA_TRIM: 0x05,
        XTA_TRIM + 1: 0x05,
        EVENT_MASK: 0x00,
    }
)
# Lost in warm sleep unless the retention list names them, as Semtech's driver says (its init of that list).
_FORGOTTEN = (IQ_POLARITY, TX_MODULATION, RX_GAIN)


class Registers:
    """One byte each."""

    def __init__(self) -> None:
        self._values = dict(_RESET)

    def reset(self) -> None:
        """Power-on values."""
        self._values = dict(_RESET)

    def wake_warm(self) -> None:
        """What a warm sleep does not keep."""
        kept = [
            self._values[RETENTION + 1 + 2 * i] << 8 | self._values[RETENTION + 2 + 2 * i]
            for i in range(min(self._values[RETENTION], (_RETENTION_BYTES - 1) // 2))
        ]
        for address in _FORGOTTEN:
            if address not in kept:
                self._values[address] = _RESET[address]

    def __getitem__(self, address: int) -> int:
        self._check(address)
        return self._values[address]

    def __setitem__(self, address: int, value: int) -> None:
        self._check(address)
        self._values[address] = value

    def _check(self, address: int) -> None:
        if address not in self._values:
            raise UnknownPart(f"SX126x: register {address:#06x} is none that this model knows; see its registers.py")

    @property
    def sync_word(self) -> int:
        """The one-byte form: the high halves of the two registers."""
        return self._values[SYNC_WORD] & 0xF0 | self._values[SYNC_WORD + 1] >> 4

    @property
    def inverted_polarity(self) -> bool:
        """What the receiver is prepared for, DS 15.4: bit 2 is 0 for inverted I/Q."""
        return not self._values[IQ_POLARITY] & 0x04
