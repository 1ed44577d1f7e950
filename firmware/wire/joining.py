# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The two messages of an OTAA join, which a board needs once in a session only.

TS001 = LoRaWAN L2 Specification 1.0.4. EUIs are 8 bytes in the order in which people write them.
"""

import struct

from firmware.wire.crypto import cmac, same
from firmware.wire.errors import Malformed, NotAuthentic
from firmware.wire.frame import JOIN_ACCEPT, JOIN_REQUEST, mtype

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.crypto import Encrypt

_JOIN_REQUEST_LEN = 23
_JOIN_ACCEPT_LENS = (17, 33)


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
