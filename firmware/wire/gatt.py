# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The GATT service that carries frames over Bluetooth LE, and the advertisement by which a gateway finds its boards.

The board is the peripheral. It notifies pieces of uplinks (``wire.segment``), the gateway writes pieces of downlinks.
Advertisement: flags, the service's UUID, and six bytes that only who holds the device's AppKey can link to it: a byte
of version and flags, a counter that the board moves on now and then, and three bytes of AES under a key of its own:

    hint key = AES(AppKey, "lykta-ble-hint-1")
    tag      = first 3 bytes of AES(hint key, counter | version and flags | "lykta-ble-tag"), counter little-endian

A block cipher on blocks that never repeat within a key's life is the function that CMAC is built of; one block each
keeps it cheap for a gateway that tries the keys of many devices. Who records an advertisement can send it again: it
makes a gateway connect, and no more, since every frame has its own MIC and counter.

Bluetooth Core Specification, Supplement, Part A, sections 1.1, 1.3 and 1.4: the formats of the advertised fields.
"""

import struct

from firmware.wire.errors import Malformed

TYPE_CHECKING = False  # MicroPython has no typing module
if TYPE_CHECKING:
    from firmware.wire.crypto import Encrypt

SERVICE_UUID = "dc82e3fa-eaf1-4b47-b888-5788db5f89e6"
UPLINK_UUID = "073d3c19-a8cb-47c0-b396-ea103d48c7eb"  # notify
DOWNLINK_UUID = "92443473-815a-4633-a86a-8408950e7dc1"  # write, write without response
NAME = "Lykta"  # in the scan response; the same for all, so that it says nothing
COMPANY_ID = 0xFFFF  # of no company: Bluetooth SIG Assigned Numbers, section 7.1

MTU = 247  # an ATT packet that fits one link-layer packet (4.2 data length extension)
ATT_HEADER = 3  # of a notification or a write: an MTU holds so much less

WAITING = 0x01  # flag: the board has something to send, a join included
ALARM = 0x02  # flag: and it is an alarm

_VERSION = 0x10  # high nibble of the first byte
_VERSION_MASK = 0xF0
_HINT_BYTES = 6
_TAG_BYTES = 3
_KEY_BLOCK = b"lykta-ble-hint-1"
_TAG_TEXT = b"lykta-ble-tag"

_AD_FLAGS = b"\x02\x01\x06"  # general discoverable, no BR/EDR
_AD_UUIDS_128 = 0x07
_AD_NAME = 0x09
_AD_COMPANY = 0xFF


def hint_key(app_encrypt: "Encrypt") -> bytes:
    """Return the 16-byte key of a device's hints; *app_encrypt* is AES under its AppKey."""
    return app_encrypt(_KEY_BLOCK)


def hint(encrypt: "Encrypt", counter: int, flags: int = 0) -> bytes:
    """Return the six advertised bytes; *encrypt* is AES under the hint key, *counter* 16 bits that wrap."""
    head = bytes([_VERSION | flags]) + struct.pack("<H", counter & 0xFFFF)
    return head + _tag(encrypt, head)


def flags_of(data: bytes) -> int:
    """Return the flags of six advertised bytes. Raises Malformed for another length or version."""
    if len(data) != _HINT_BYTES or data[0] & _VERSION_MASK != _VERSION:
        raise Malformed("BLE hint: %d bytes of another version" % len(data))
    return data[0] & ~_VERSION_MASK


def is_from(encrypt: "Encrypt", data: bytes) -> bool:
    """Tell whether six advertised bytes were made with this hint key; by chance once in 16 million."""
    return _tag(encrypt, data[:-_TAG_BYTES]) == data[-_TAG_BYTES:]


def advertisement(data: bytes) -> bytes:
    """Return the advertising data around six bytes of hint: 31 bytes, all that a legacy advertisement holds."""
    service = _uuid_bytes(SERVICE_UUID)
    company = struct.pack("<H", COMPANY_ID) + data
    return _AD_FLAGS + _field(_AD_UUIDS_128, service) + _field(_AD_COMPANY, company)


def scan_response() -> bytes:
    """Return the scan response: the name."""
    return _field(_AD_NAME, NAME.encode())


def _tag(encrypt: "Encrypt", head: bytes) -> bytes:
    return encrypt(head[1:] + head[:1] + _TAG_TEXT)[:_TAG_BYTES]


def _field(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data


def _uuid_bytes(text: str) -> bytes:
    """Return a UUID as Bluetooth sends it, the last byte first."""
    digits = text.replace("-", "")
    return bytes([int(digits[i : i + 2], 16) for i in range(len(digits) - 2, -1, -2)])
