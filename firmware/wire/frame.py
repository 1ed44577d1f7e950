# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""LoRaWAN 1.0.4 PHYPayloads: their bytes, in both directions. No keys are kept and no counters move here.

TS001 = LoRaWAN L2 Specification 1.0.4. EUIs are 8 bytes in the order in which people write them; a device address is
an integer. On air every multi-byte field is little endian (TS001 section 1.2).
"""

import struct

from firmware.wire.crypto import cmac, same
from firmware.wire.errors import Malformed, NotAuthentic

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.crypto import Encrypt

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
_JOIN_REQUEST_LEN = 23
_JOIN_ACCEPT_LENS = (17, 33)
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


class JoinRequest:
    """Join-Request, TS001 section 6.2.5: JoinEUI 8, DevEUI 8, DevNonce 2."""

    def __init__(self, join_eui: bytes, dev_eui: bytes, dev_nonce: int) -> None:
        self.join_eui = join_eui
        self.dev_eui = dev_eui
        self.dev_nonce = dev_nonce


class JoinAccept:
    """Join-Accept, TS001 section 6.2.6. *cf_list* is empty or 16 bytes."""

    def __init__(
        self, join_nonce: int, net_id: int, dev_addr: int, dl_settings: int, rx_delay: int, cf_list: bytes
    ) -> None:
        self.join_nonce = join_nonce
        self.net_id = net_id
        self.dev_addr = dev_addr
        self.dl_settings = dl_settings
        self.rx_delay = rx_delay
        self.cf_list = cf_list


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


def encode_join_request(encrypt: "Encrypt", join_eui: bytes, dev_eui: bytes, dev_nonce: int) -> bytes:
    """Return the 23 bytes of a Join-Request; *encrypt* is AES under the AppKey."""
    message = bytes([JOIN_REQUEST << 5]) + _swap(join_eui) + _swap(dev_eui) + struct.pack("<H", dev_nonce)
    return message + cmac(encrypt, message)[:4]


def decode_join_request(phy: bytes) -> JoinRequest:
    """Return the fields of a Join-Request, its MIC unchecked (the key hangs on the DevEUI in it). Raises Malformed."""
    if mtype(phy) != JOIN_REQUEST or len(phy) != _JOIN_REQUEST_LEN:
        raise Malformed("LoRaWAN: %d bytes of type %d are not a Join-Request of 23" % (len(phy), phy[0] >> 5))
    return JoinRequest(_swap(phy[1:9]), _swap(phy[9:17]), struct.unpack("<H", phy[17:19])[0])


def check_join_request(encrypt: "Encrypt", phy: bytes) -> None:
    """Raise NotAuthentic unless the MIC was made with the AppKey behind *encrypt*."""
    if not same(cmac(encrypt, phy[:-4])[:4], phy[-4:]):
        raise NotAuthentic("LoRaWAN: MIC of the Join-Request does not match the AppKey")


def encode_join_accept(
    encrypt: "Encrypt",
    decrypt: "Encrypt",
    join_nonce: int,
    net_id: int,
    dev_addr: int,
    dl_settings: int = 0,
    rx_delay: int = 1,
    cf_list: bytes = b"",
) -> bytes:
    """Return the 17 or 33 bytes of a Join-Accept.

    The network AES-*decrypts* it so that a device needs to encrypt only (TS001 section 6.2.6); *encrypt* and *decrypt*
    are the two directions of AES under the AppKey. Raises ValueError for a CFList that is not 0 or 16 bytes.
    """
    if len(cf_list) not in (0, 16):
        raise ValueError("LoRaWAN: CFList of %d bytes; it is 0 or 16" % len(cf_list))
    mhdr = bytes([JOIN_ACCEPT << 5])
    fields = (
        struct.pack("<I", join_nonce)[:3]
        + struct.pack("<I", net_id)[:3]
        + struct.pack("<IBB", dev_addr, dl_settings, rx_delay)
        + cf_list
    )
    return mhdr + decrypt(fields + cmac(encrypt, mhdr + fields)[:4])


def decode_join_accept(encrypt: "Encrypt", phy: bytes) -> JoinAccept:
    """Return the fields of a Join-Accept after checking its MIC. Raises Malformed, NotAuthentic."""
    if mtype(phy) != JOIN_ACCEPT or len(phy) not in _JOIN_ACCEPT_LENS:
        raise Malformed("LoRaWAN: %d bytes of type %d are not a Join-Accept of 17 or 33" % (len(phy), phy[0] >> 5))
    plain = encrypt(phy[1:])
    if not same(cmac(encrypt, phy[:1] + plain[:-4])[:4], plain[-4:]):
        raise NotAuthentic("LoRaWAN: MIC of the Join-Accept does not match the AppKey")
    join_nonce = struct.unpack("<I", plain[0:3] + b"\x00")[0]
    net_id = struct.unpack("<I", plain[3:6] + b"\x00")[0]
    dev_addr, dl_settings, rx_delay = struct.unpack("<IBB", plain[6:12])
    return JoinAccept(join_nonce, net_id, dev_addr, dl_settings, rx_delay, plain[12:-4])


def _swap(eui: bytes) -> bytes:
    if len(eui) != 8:
        raise ValueError("LoRaWAN: an EUI has 8 bytes, not %d" % len(eui))
    return bytes(reversed(eui))
