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
)
