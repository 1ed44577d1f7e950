# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What every device tells about itself, in the words of the open standards.

OMA LwM2M registry, object 3 (Device): 3 firmware version, 10 memory free (in kilobytes), 11 error code. What has no
resource there has an empty first column. ``firmware_version`` is major * 10000 + minor * 100 + patch,
``firmware_hash`` the first four bytes of the SHA-256 of the code on the device's flash.
"""

from firmware.wire.kinds.terms import Term

TERMS = {
    "uptime_s": Term("", "uptime", "s", 1, "", "internal"),
    "boot_reason": Term("", "boot_reason", "/", 1, "", "internal"),
    "boots": Term("", "boots", "count", 1, "", "internal"),
    "supply_failures": Term("", "supply_failures", "count", 1, "", "internal"),
    "watchdog_resets": Term("", "watchdog_resets", "count", 1, "", "internal"),
    "late_windows": Term("", "late_windows", "count", 1, "", "internal"),
    "firmware_version": Term("3/3", "firmware_version", "/", 1, "", "internal"),
    "firmware_hash": Term("", "firmware_hash", "/", 1, "", "restricted"),
    "selftest_failed": Term("3/11", "selftest_failed", "/", 1, "", "internal"),
    "settings_crc": Term("", "settings_crc", "/", 1, "", "internal"),
    "settings_damaged": Term("", "settings_damaged", None, 1, "", "internal"),
    "maintenance": Term("", "maintenance", None, 1, "", "internal"),
    "heap_free_bytes": Term("3/10", "heap_free", "B", 1, "", "internal"),
}
