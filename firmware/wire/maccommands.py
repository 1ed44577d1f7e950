# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""MAC commands of LoRaWAN 1.0.4: their lengths, and the ones that either end asks for: time and link checks.

The others are in ``macdevice`` and ``macnetwork``, so that a board loads its own end only.

TS001 = LoRaWAN L2 Specification 1.0.4, section 5.
"""

import struct

from firmware.wire.errors import Malformed

LINK_CHECK = 0x02
LINK_ADR = 0x03
DUTY_CYCLE = 0x04
RX_PARAM_SETUP = 0x05
DEV_STATUS = 0x06
NEW_CHANNEL = 0x07
RX_TIMING_SETUP = 0x08
TX_PARAM_SETUP = 0x09
DL_CHANNEL = 0x0A
DEVICE_TIME = 0x0D

# CID: (payload bytes from the device, payload bytes from the network), TS001 table 4 and sections 5.1 to 5.11
_LENGTHS = {
    LINK_CHECK: (0, 2),
    LINK_ADR: (1, 4),
    DUTY_CYCLE: (0, 1),
    RX_PARAM_SETUP: (1, 4),
    DEV_STATUS: (2, 0),
    NEW_CHANNEL: (1, 5),
    RX_TIMING_SETUP: (0, 1),
    TX_PARAM_SETUP: (0, 1),
    DL_CHANNEL: (1, 4),
    DEVICE_TIME: (0, 5),
}

# GPS time began at 1980-01-06T00:00:00Z and has no leap seconds; UTC has had 18 since (IERS Bulletin C).
_GPS_EPOCH_S = 315964800
_LEAP_S = 18


def parse(data: bytes, uplink: bool) -> "list[tuple[int, bytes]]":
    """Return ``(CID, payload)`` for each command in FOpts or in a port-0 payload.

    An unknown CID ends the list, since its length is unknown too (TS001 section 5). Raises Malformed when a known
    command is cut short.
    """
    commands = []
    pos = 0
    while pos < len(data) and data[pos] in _LENGTHS:
        cid = data[pos]
        end = pos + 1 + _LENGTHS[cid][0 if uplink else 1]
        if end > len(data):
            raise Malformed("LoRaWAN: MAC command 0x%02x is cut short" % cid)
        commands.append((cid, data[pos + 1 : end]))
        pos = end
    return commands


def link_check_req() -> bytes:
    """Return LinkCheckReq (TS001 section 5.2)."""
    return bytes([LINK_CHECK])


def link_check_ans(margin_db: int, gateways: int) -> bytes:
    """Return LinkCheckAns: demodulation margin 0 to 254 dB, and how many gateways heard the request."""
    return struct.pack("BBB", LINK_CHECK, margin_db, gateways)


def device_time_req() -> bytes:
    """Return DeviceTimeReq (TS001 section 5.9)."""
    return bytes([DEVICE_TIME])


def device_time_ans(unix_ms: int) -> bytes:
    """Return DeviceTimeAns for the end of the uplink at *unix_ms*, in milliseconds of UTC since 1970."""
    gps_ms = unix_ms - (_GPS_EPOCH_S - _LEAP_S) * 1000
    return struct.pack("<BIB", DEVICE_TIME, gps_ms // 1000 & 0xFFFFFFFF, gps_ms % 1000 * 256 // 1000)


def decode_device_time_ans(payload: bytes) -> int:
    """Return milliseconds of UTC since 1970 from the 5 bytes of a DeviceTimeAns. Raises Malformed."""
    if len(payload) != 5:
        raise Malformed("LoRaWAN: DeviceTimeAns of %d bytes; it has 5" % len(payload))
    gps_s: int
    frac: int
    gps_s, frac = struct.unpack("<IB", payload)
    return (gps_s + _GPS_EPOCH_S - _LEAP_S) * 1000 + frac * 1000 // 256
