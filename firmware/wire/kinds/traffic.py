# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Traffic: how many vehicles of which class went which way in an interval, how fast, and how close together.

A reading stands for the interval that ended at its time. ``count_a`` and ``count_b`` are all vehicles of a direction,
``heavy_*`` and ``two_wheel_*`` those of them that were long or short. ``suppressed``: something was so little that it
is left out, lest it tell of single people.
"""

KIND = "traffic"

FIELDS = (
    # name, key, scale, lowest, highest
    ("interval_s", 3, 1, 0, 86400),
    ("count_a", 4, 1, 0, 65535),
    ("count_b", 5, 1, 0, 65535),
    ("heavy_a", 6, 1, 0, 65535),
    ("heavy_b", 7, 1, 0, 65535),
    ("two_wheel_a", 8, 1, 0, 65535),
    ("two_wheel_b", 9, 1, 0, 65535),
    ("speed_mean_kmh", 10, 2, 0, 600),
    ("speed_p85_kmh", 11, 2, 0, 600),
    ("above_limit_pct", 12, 1, 0, 100),
    ("occupancy_pct", 13, 2, 0, 200),
    ("headway_s", 14, 10, 0, 36000),
    ("day_count_a", 15, 1, 0, 0xFFFFFFFF),
    ("day_count_b", 16, 1, 0, 0xFFFFFFFF),
    ("congested", 17, 0, 0, 1),
    ("sensor_fault", 18, 0, 0, 1),
    ("suppressed", 19, 0, 0, 1),
)
