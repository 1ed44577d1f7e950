# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a waste bin can be told. docs/waste-bin.md explains the settings."""

SETTINGS = (
    # name, key, shape, default
    ("height_mm", 20, (200, 8000), 1200),  # of the inside of the bin
    ("offset_mm", 21, (0, 1000), 50),  # from the sensor down to the rim
    ("full_mm", 22, (0, 2000), 100),  # what stays free above the content of a bin that is full
    ("taper_pct", 23, (0, 80), 0),  # by how much the bottom is narrower than the rim
    ("full_pct", 24, (20, 100), 90),  # alarm
    ("near_full_pct", 25, (10, 100), 75),  # from here on it reports faster
    ("near_full_speedup", 26, (1, 12), 4),
    ("emptied_drop_pct", 27, (10, 90), 20),
    ("fire_c", 28, (40, 200), 65),
    ("fire_rise_c", 29, (5, 100), 20),  # from one look to the next
    ("fallen_deg", 30, (15, 120), 45),
    ("lid_open_min", 31, (1, 1440), 10),
    ("in_lid", 32, (0, 1), 0),  # 1: the sensor sits in the lid, so what tilts is the lid
    ("battery_low_pct", 33, (1, 50), 10),
    ("samples", 34, (3, 25), 7),
    ("look_s", 35, (5, 600), 30),  # from one look at heat and tilt to the next
    ("asleep_look_s", 36, (5, 3600), 300),  # the same in deep sleep, where a look takes more of the battery
)

COMMANDS = (("reset_counters", 20, ()),)

COMPONENTS = (
    ("ultrasonic", 8),
    ("optical", 9),
    ("thermometer", 10),
    ("tilt", 11),
    ("battery", 12),
    ("mount", 13),
)


def contradiction(values: "dict[str, int]") -> "int | None":
    """Return the key of a setting that does not fit the others, or None. *values* has all settings by name."""
    if values["full_mm"] > values["height_mm"] - 100:
        return 22
    if values["near_full_pct"] > values["full_pct"]:
        return 25
    return None
