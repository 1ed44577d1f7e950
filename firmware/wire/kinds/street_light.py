# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Street light: the lamp, its dimming level, what it draws and what surrounds it."""

KIND = "street_light"

FIELDS = (
    # name, key, scale, lowest, highest
    ("lamp_on", 3, 0, 0, 1),
    ("dim_pct", 4, 1, 0, 100),
    ("power_w", 5, 10, 0, 20000),
    ("energy_wh", 6, 1, 0, 0xFFFFFFFF),
    ("temperature_c", 7, 10, -500, 1500),
    ("illuminance_lx", 8, 1, 0, 200000),
    ("voltage_v", 9, 10, 0, 5000),
    ("current_a", 10, 1000, 0, 65535),
    ("power_factor", 11, 100, 0, 100),
    ("burn_h", 12, 1, 0, 0xFFFFFFFF),
    ("switchings", 13, 1, 0, 0xFFFFFFFF),
    ("overridden", 14, 0, 0, 1),
    ("lamp_failure", 15, 0, 0, 1),
    ("gear_failure", 16, 0, 0, 1),
    ("day_burner", 17, 0, 0, 1),
    ("cycling", 18, 0, 0, 1),
    ("undervoltage", 19, 0, 0, 1),
    ("overvoltage", 20, 0, 0, 1),
    ("tilted", 21, 0, 0, 1),
    ("door_open", 22, 0, 0, 1),
    ("overheated", 23, 0, 0, 1),
    ("tilt_deg", 24, 1, 0, 180),
    ("driver_temperature_c", 25, 1, -60, 200),
    ("by_safety", 26, 0, 0, 1),
)
