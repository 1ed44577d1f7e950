# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What a traffic sensor can be told. docs/traffic.md explains the settings."""

SETTINGS = (
    # name, key, shape, default
    ("limit_kmh", 20, (5, 150), 50),  # share above it
    ("two_wheel_below_cm", 21, (100, 400), 260),
    ("heavy_from_cm", 22, (300, 1500), 650),
    ("suppress_below", 23, (0, 50), 0),  # counts between 1 and this are left out; 0: nothing is
    ("congested_kmh", 24, (5, 100), 20),
    ("congested_occupancy_pct", 25, (5, 95), 35),
    ("zone_mm", 26, (0, 20000), 0),  # length of the zone in which a vehicle is seen; 0: what such a detector has
    ("spacing_mm", 27, (200, 20000), 4000),  # from the first detector to the second
    ("radar_angle_deg", 28, (0, 60), 0),  # between the beam and the road
    ("reverse", 29, (0, 1), 0),  # 1: direction a is the one away from the radar, or from the second detector
    ("field_on_nt", 30, (200, 50000), 2500),
    ("field_off_nt", 31, (100, 50000), 1200),
    ("day_starts_min", 32, (-720, 840), 60),  # local midnight: minutes that local time is ahead of UTC
)

COMMANDS = (("reset_counters", 20, ()),)

COMPONENTS = (
    ("radar", 8),
    ("field_1", 9),
    ("field_2", 10),
    ("contact_1", 11),
    ("contact_2", 12),
)


def contradiction(values: "dict[str, int]") -> "int | None":
    """Return the key of a setting that does not fit the others, or None. *values* has all settings by name."""
    if values["two_wheel_below_cm"] >= values["heavy_from_cm"]:
        return 22
    if values["field_off_nt"] >= values["field_on_nt"]:
        return 31
    return None
