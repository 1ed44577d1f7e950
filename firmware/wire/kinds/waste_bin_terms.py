# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Waste bin in the words of the open standards.

OMA LwM2M registry: 3435 filling level (uCIFI), 3429 tilt, 3303 temperature, 3330 distance, 3411 battery. Smart Data
Models: dataModel.WasteManagement, WasteContainer, whose ``fillingLevel`` runs 0 to 1. OMA and Smart Data Models know a
date of being full; on air it is hours from the reading's own time, which is shorter. SenML has no unit for a share
per day. Lid openings, like the battery, say more about people and upkeep than about waste: internal.
"""

from firmware.wire.kinds.terms import Counting, Term

TERMS = {
    "fill_pct": Term("3435/2", "fill", "/", 0.01, "fillingLevel", "open"),
    "range_m": Term("3330/5700", "range", "m", 1, "", "internal"),
    "temperature_c": Term("3303/5700", "temperature", "Cel", 1, "temperature", "internal"),
    "battery_v": Term("3411/3", "battery_voltage", "V", 1, "", "internal"),
    "battery_pct": Term("3411/1", "battery", "%EL", 1, "", "internal"),
    "tilt_deg": Term("3429/1", "tilt", "rad", 0.017453293, "", "internal"),
    "lid_openings": Term("3435/19", "lid_openings", "count", 1, "", "internal"),
    "emptyings": Term("", "emptyings", "count", 1, "", "open"),
    "fill_speed_pct_d": Term("3435/8", "fill_speed_pct_d", None, 1, "", "open"),
    "full_in_h": Term("3435/10", "full_in", "s", 3600, "", "open"),
    "full": Term("3435/5", "full", None, 1, "", "open"),
    "fire": Term("3435/22", "fire", None, 1, "", "internal"),
    "fallen": Term("3435/13", "fallen", None, 1, "", "internal"),
    "lid_open": Term("3435/21", "lid_open", None, 1, "", "internal"),
    "sensor_fault": Term("3435/6042", "sensor_fault", None, 1, "", "internal"),
    "battery_low": Term("3411/6", "battery_low", None, 1, "", "internal"),
}

COUNTING = Counting(parts={}, derived={}, running=("lid_openings",))
