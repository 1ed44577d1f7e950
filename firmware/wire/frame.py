# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN 1.0.4 PHYPayloads: their bytes, in both directions; ``joining`` has those of a join.

TS001 = LoRaWAN L2 Specification 1.0.4. EUIs are 8 bytes in the order in which people write them; a device address is
an integer. On air every multi-byte field is little endian (TS001 section 1.2).
"""

import struct

from firmware.wire.errors import Malformed

# MType, TS001 table 2
JOIN_REQUEST = 0
JOIN_ACCEPT = 1
UNCONFIRMED_UP = 2
UNCONFIRMED_DOWN = 3
CONFIRMED_UP = 4
CONFIRMED_DOWN = 5

MAX_PHY = 255  # the longest payload that the radio's length byte can say
MAX_FOPTS = 15

_MAJOR_R1 = 0
_MIN_DATA_LEN = 12  # MHDR 1, FHDR 7, MIC 4

# FCtrl bits, TS001 section 4.3.1.  Downlink bit 6 is RFU; downlink bit 4 is FPending, uplink bit 4 is ClassB
_ADR = 0x80
_ADR_ACK_REQ = 0x40
_ACK = 0x20
_F_PENDING = 0x10


def mtype(phy: bytes) -> int:
    """Return the message type. Raises Malformed for an empty frame, another major version or a type not used here."""
    if not phy:
        raise Malformed("LoRaWAN: empty frame")
    kind = phy[0] >> 5
    if phy[0] & 0x1F != _MAJOR_R1:
        raise Malformed("LoRaWAN: MHDR 0x%02x is not major version R1" % phy[0])
    if kind > CONFIRMED_DOWN:
        raise Malformed("LoRaWAN: message type %d is not used in 1.0.4 class A or C" % kind)
    return kind


class DataFrame:
    """A data frame as its header says it; ``payload`` is still encrypted and ``mic`` not yet checked."""

    def __init__(self, phy: bytes) -> None:
        kind = mtype(phy)
        if kind < UNCONFIRMED_UP:
            raise Malformed("LoRaWAN: message type %d is not a data frame" % kind)
        if not _MIN_DATA_LEN <= len(phy) <= MAX_PHY:
            raise Malformed("LoRaWAN: data frame of %d bytes; 12 to 255 are possible" % len(phy))
        self.mtype = kind
        self.uplink = kind in (UNCONFIRMED_UP, CONFIRMED_UP)
        self.confirmed = kind in (CONFIRMED_UP, CONFIRMED_DOWN)
        self.dev_addr, fctrl, self.fcnt16 = struct.unpack("<IBH", phy[1:8])
        self.adr = bool(fctrl & _ADR)
        self.adr_ack_req = self.uplink and bool(fctrl & _ADR_ACK_REQ)
        self.ack = bool(fctrl & _ACK)
        self.f_pending = not self.uplink and bool(fctrl & _F_PENDING)
        body = phy[8:-4]
        fopts_len = fctrl & 0x0F
        if fopts_len > len(body):
            raise Malformed("LoRaWAN: FOptsLen %d, but %d bytes follow" % (fopts_len, len(body)))
        self.fopts = body[:fopts_len]
        rest = body[fopts_len:]
        self.fport = rest[0] if rest else None
        self.payload = rest[1:]
        self.mic = phy[-4:]
        if self.fport == 0 and self.fopts:
            raise Malformed("LoRaWAN: FOpts together with FPort 0")  # TS001 section 4.3.1.6: drop


def decode_data(phy: bytes) -> DataFrame:
    """Return the parts of a data frame, no cryptography involved. Raises Malformed."""
    return DataFrame(phy)


def encode_data_header(
    kind: int,
    dev_addr: int,
    fcnt: int,
    fopts: bytes = b"",
    adr: bool = False,
    adr_ack_req: bool = False,
    ack: bool = False,
    f_pending: bool = False,
) -> bytes:
    """Return MHDR | FHDR (TS001 sections 4.2 and 4.3.1). Raises ValueError for more than 15 bytes of FOpts."""
    if len(fopts) > MAX_FOPTS:
        raise ValueError("LoRaWAN: %d bytes of FOpts; at most 15 fit" % len(fopts))
    fctrl = len(fopts)
    if adr:
        fctrl |= _ADR
    if adr_ack_req:
        fctrl |= _ADR_ACK_REQ
    if ack:
        fctrl |= _ACK
    if f_pending:
        fctrl |= _F_PENDING
    return struct.pack("<BIBH", kind << 5 | _MAJOR_R1, dev_addr, fctrl, fcnt & 0xFFFF) + fopts
