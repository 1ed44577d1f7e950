# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What every device tells about itself, once a day and after each boot, as a reading like all others.

The fields stand beside those of the kind; their keys are above 99, so that no kind's own keys meet them.
"""

KIND = "common"

FIELDS = (
    # name, key, scale, lowest, highest
    ("uptime_s", 100, 1, 0, 0xFFFFFFFF),
    ("boot_reason", 101, 1, 0, 15),
    ("boots", 102, 1, 0, 0xFFFFFFFF),
    ("supply_failures", 103, 1, 0, 0xFFFFFFFF),
    ("watchdog_resets", 104, 1, 0, 0xFFFFFFFF),
    ("late_windows", 105, 1, 0, 0xFFFFFFFF),
    ("firmware_version", 106, 1, 0, 0xFFFFFFFF),
    ("firmware_hash", 107, 1, 0, 0xFFFFFFFF),
    ("selftest_failed", 108, 1, 0, 0xFFFF),
    ("settings_crc", 109, 1, 0, 0xFFFFFFFF),
    ("settings_damaged", 110, 0, 0, 1),
    ("maintenance", 111, 0, 0, 1),
    ("heap_free_bytes", 112, 1, 0, 0xFFFFFFFF),
)

# boot_reason
POWER_ON = 1
HARD_RESET = 2
WATCHDOG = 3
DEEP_SLEEP = 4
SOFT_RESET = 5
