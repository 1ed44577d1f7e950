# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Images for ESP32 chips, made byte by byte after ESP-IDF's "Firmware Image Format"; esptool itself accepts them."""

import hashlib
import struct

ESP32, ESP32_S3 = 0, 9
SEGMENTS = ((0x3FC90000, b"data" * 37), (0x40374000, b"code" * 100))
FIRST_DATA = 32  # header of 24 bytes, address and length of the first segment


def esp_image(chip: int = ESP32_S3, hashed: bool = True) -> bytes:
    """A small whole image."""
    out = struct.pack(
        "<BBBBIB3sHBHH4xB", 0xE9, len(SEGMENTS), 2, 0x2F, 0x40374000, 0xEE, bytes(3), chip, 0, 0, 99, hashed
    )
    checksum = 0xEF
    for address, data in SEGMENTS:
        out += struct.pack("<II", address, len(data)) + data
        for byte in data:
            checksum ^= byte
    out += bytes(15 - len(out) % 16) + bytes([checksum])
    return out + (hashlib.sha256(out).digest() if hashed else b"")
