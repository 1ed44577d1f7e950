# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC commands at the network's end: requests written, answers read. ``macdevice`` is the other end.

TS001 = LoRaWAN L2 Specification 1.0.4, section 5. What a field cannot hold is a ValueError, never cut off silently.
"""

import struct

from firmware.wire.errors import Malformed
from firmware.wire.maccommands import (
    DEV_STATUS,
    DL_CHANNEL,
    DUTY_CYCLE,
    LINK_ADR,
    NEW_CHANNEL,
    RX_PARAM_SETUP,
    RX_TIMING_SETUP,
    TX_PARAM_SETUP,
)

# Bits of the status bytes, set where the device agreed.
LINK_ADR_MASK_OK = 0x01
LINK_ADR_DATA_RATE_OK = 0x02
LINK_ADR_POWER_OK = 0x04
RX_PARAM_FREQUENCY_OK = 0x01
RX_PARAM_RX2_DATA_RATE_OK = 0x02
RX_PARAM_RX1_OFFSET_OK = 0x04
CHANNEL_FREQUENCY_OK = 0x01
NEW_CHANNEL_DATA_RATES_OK = 0x02
DL_CHANNEL_UPLINK_EXISTS = 0x02

_STATUS_BITS = {LINK_ADR: 0x07, RX_PARAM_SETUP: 0x07, NEW_CHANNEL: 0x03, DL_CHANNEL: 0x03}


def link_adr_req(data_rate: int, tx_power: int, mask: int, mask_control: int = 0, nb_trans: int = 1) -> bytes:
    """Return LinkADRReq (TS001 section 5.3); 15 keeps the data rate or the power as it is."""
    first = _nibbles(data_rate, tx_power)
    last = _within("ChMaskCntl", mask_control, 7) << 4 | _within("NbTrans", nb_trans, 15)
    return struct.pack("<BBHB", LINK_ADR, first, _within("ChMask", mask, 0xFFFF), last)


def duty_cycle_req(max_duty_cycle: int) -> bytes:
    """Return DutyCycleReq for one part in 2^n of the time (TS001 section 5.4)."""
    return bytes([DUTY_CYCLE, _within("MaxDCycle", max_duty_cycle, 15)])


def rx_param_setup_req(rx1_offset: int, rx2_data_rate: int, rx2_hz: int) -> bytes:
    """Return RXParamSetupReq (TS001 section 5.5)."""
    return bytes([RX_PARAM_SETUP, encode_dl_settings(rx1_offset, rx2_data_rate)]) + encode_frequency(rx2_hz)


def encode_dl_settings(rx1_offset: int, rx2_data_rate: int) -> int:
    """Return the DLSettings byte of RXParamSetupReq and Join-Accept."""
    return _within("RX1DROffset", rx1_offset, 7) << 4 | _within("RX2 data rate", rx2_data_rate, 15)


def dev_status_req() -> bytes:
    """Return DevStatusReq (TS001 section 5.6)."""
    return bytes([DEV_STATUS])


def new_channel_req(index: int, freq_hz: int, min_data_rate: int = 0, max_data_rate: int = 5) -> bytes:
    """Return NewChannelReq (TS001 section 5.7); frequency 0 removes the channel."""
    rates = _nibbles(max_data_rate, min_data_rate)
    return bytes([NEW_CHANNEL, _within("ChIndex", index, 255)]) + encode_frequency(freq_hz) + bytes([rates])


def rx_timing_setup_req(delay_s: int) -> bytes:
    """Return RXTimingSetupReq for RX1 after 1 to 15 seconds (TS001 section 5.8)."""
    return bytes([RX_TIMING_SETUP, _within("delay", delay_s, 15)])


def tx_param_setup_req(downlink_dwell: bool, uplink_dwell: bool, max_eirp: int) -> bytes:
    """Return TxParamSetupReq (TS001 section 5.9). No device of EU868 answers it."""
    dwell = (0x20 if downlink_dwell else 0) | (0x10 if uplink_dwell else 0)
    return bytes([TX_PARAM_SETUP, dwell | _within("MaxEIRP", max_eirp, 15)])


def dl_channel_req(index: int, rx1_hz: int) -> bytes:
    """Return DlChannelReq (TS001 section 5.10)."""
    return bytes([DL_CHANNEL, _within("ChIndex", index, 255)]) + encode_frequency(rx1_hz)


def encode_frequency(freq_hz: int) -> bytes:
    """Return the three bytes of a frequency in steps of 100 Hz."""
    if freq_hz % 100:
        raise ValueError("LoRaWAN: %d Hz is no multiple of 100 Hz" % freq_hz)
    return struct.pack("<I", _within("frequency / 100 Hz", freq_hz // 100, 0xFFFFFF))[:3]


def encode_cf_list(frequencies_hz: "list[int]") -> bytes:
    """Return the 16 bytes of a CFList of type 0: up to five more channels (RP002 section 2.4.2)."""
    if len(frequencies_hz) > 5:
        raise ValueError("LoRaWAN: %d channels in a CFList; at most 5" % len(frequencies_hz))
    fields = b"".join([encode_frequency(freq_hz) for freq_hz in frequencies_hz])
    return fields + bytes(16 - len(fields))


def accepted(cid: int, payload: bytes) -> bool:
    """Tell whether the device agreed to all of a request. Raises Malformed when *cid* has no status byte."""
    if cid not in _STATUS_BITS or len(payload) != 1:
        raise Malformed("LoRaWAN: an answer 0x%02x of %d bytes has no status" % (cid, len(payload)))
    return payload[0] & _STATUS_BITS[cid] == _STATUS_BITS[cid]


def decode_dev_status_ans(payload: bytes) -> "tuple[int, int]":
    """Return (battery, SNR in dB): 0 is mains, 255 unknown. Raises Malformed."""
    if len(payload) != 2:
        raise Malformed("LoRaWAN: DevStatusAns of %d bytes; it has 2" % len(payload))
    margin = payload[1] & 0x3F
    return payload[0], margin - 64 if margin & 0x20 else margin


def _nibbles(high: int, low: int) -> int:
    return _within("data rate", high, 15) << 4 | _within("data rate or power", low, 15)


def _within(name: str, value: int, highest: int) -> int:
    if not 0 <= value <= highest:
        raise ValueError("LoRaWAN: %s is %d; 0 to %d is possible" % (name, value, highest))
    return value
