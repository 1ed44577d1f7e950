# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC commands at the device's end: requests read, answers written. ``macnetwork`` is the other end.

TS001 = LoRaWAN L2 Specification 1.0.4, section 5. Payloads come from ``maccommands.parse``, which has checked their
length; here only their bits are told apart.
"""

import struct

from firmware.wire.maccommands import DEV_STATUS

KEEP = 0x0F  # a DataRate or TXPower that leaves the value as it is (TS001 section 5.3)

_FREQ_STEP_HZ = 100


def link_adr(payload: bytes) -> "tuple[int, int, int, int, int]":
    """Return (data rate, TXPower, ChMask, ChMaskCntl, NbTrans) of a LinkADRReq (TS001 section 5.3)."""
    mask = payload[1] | payload[2] << 8
    return payload[0] >> 4, payload[0] & 0x0F, mask, payload[3] >> 4 & 0x07, payload[3] & 0x0F


def max_duty_cycle(payload: bytes) -> int:
    """Return n of a DutyCycleReq: at most one part in 2^n of the time (TS001 section 5.4)."""
    return payload[0] & 0x0F


def rx_param_setup(payload: bytes) -> "tuple[int, int, int]":
    """Return (RX1DROffset, RX2 data rate, RX2 frequency in Hz) of an RXParamSetupReq (TS001 section 5.5)."""
    offset, rx2_dr = dl_settings(payload[0])
    return offset, rx2_dr, frequency_hz(payload[1:4])


def dl_settings(value: int) -> "tuple[int, int]":
    """Return (RX1DROffset, RX2 data rate) of a DLSettings byte (TS001 section 6.2.6)."""
    return value >> 4 & 0x07, value & 0x0F


def new_channel(payload: bytes) -> "tuple[int, int, int, int]":
    """Return (index, frequency in Hz, lowest, highest data rate) of a NewChannelReq (TS001 section 5.7)."""
    return payload[0], frequency_hz(payload[1:4]), payload[4] & 0x0F, payload[4] >> 4


def rx_delay_s(value: int) -> int:
    """Return the seconds to RX1 from the byte of an RXTimingSetupReq or a Join-Accept (TS001 section 5.8)."""
    return value & 0x0F or 1


def dl_channel(payload: bytes) -> "tuple[int, int]":
    """Return (index, RX1 frequency in Hz) of a DlChannelReq (TS001 section 5.10)."""
    return payload[0], frequency_hz(payload[1:4])


def frequency_hz(field: bytes) -> int:
    """Return the frequency of three bytes, which count steps of 100 Hz."""
    return (field[0] | field[1] << 8 | field[2] << 16) * _FREQ_STEP_HZ


def answer(cid: int, status: int) -> bytes:
    """Return an answer of one status byte: LinkADR, RXParamSetup, NewChannel, DlChannel."""
    return bytes([cid, status])


def dev_status_ans(battery: int, snr_db: int) -> bytes:
    """Return DevStatusAns: 0 mains, 1 to 254 battery, 255 unknown; the SNR of the request, cut to -32 to 31 dB."""
    return struct.pack("BBB", DEV_STATUS, battery, max(-32, min(31, snr_db)) & 0x3F)
