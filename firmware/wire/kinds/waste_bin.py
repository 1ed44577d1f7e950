# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Waste bin: how full it is, when it will be full, and what should not happen to it.

A reading of every interval holds what changes; counters and the geometry's range come when they have changed, and once
a day. A truth value is an alarm: it comes when it is raised and when it is cleared.
"""

KIND = "waste_bin"

FIELDS = (
    # name, key, scale, lowest, highest
    ("fill_pct", 3, 1, 0, 100),
    ("range_m", 4, 1000, 0, 10000),
    ("temperature_c", 5, 2, -100, 600),
    ("battery_v", 6, 1000, 0, 10000),
    ("battery_pct", 7, 1, 0, 100),
    ("tilt_deg", 8, 1, 0, 180),
    ("lid_openings", 9, 1, 0, 0xFFFFFFFF),
    ("emptyings", 10, 1, 0, 0xFFFFFFFF),
    ("fill_speed_pct_d", 11, 2, 0, 4800),
    ("full_in_h", 12, 1, 0, 8760),
    ("full", 13, 0, 0, 1),
    ("fire", 14, 0, 0, 1),
    ("fallen", 15, 0, 0, 1),
    ("lid_open", 16, 0, 0, 1),
    ("sensor_fault", 17, 0, 0, 1),
    ("battery_low", 18, 0, 0, 1),
)
