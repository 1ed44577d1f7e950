# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Traffic in the words of the open standards.

OMA LwM2M registry: 3432 traffic counter (uCIFI), one instance for each direction and class there. Smart Data Models:
dataModel.Transportation, TrafficFlowObserved, whose ``intensity`` is of one lane or direction, whose ``occupancy``
runs 0 to 1 and whose ``averageVehicleSpeed`` is in km/h.
"""

from firmware.wire.kinds.terms import Counting, Term

_KMH = 0.277777778

TERMS = {
    "interval_s": Term("3432/6", "interval", "s", 1, "", "open"),
    "count_a": Term("3432/9", "count_a", "count", 1, "", "open"),
    "count_b": Term("3432/9", "count_b", "count", 1, "", "open"),
    "heavy_a": Term("3432/9", "heavy_a", "count", 1, "", "open"),
    "heavy_b": Term("3432/9", "heavy_b", "count", 1, "", "open"),
    "two_wheel_a": Term("3432/9", "two_wheel_a", "count", 1, "", "open"),
    "two_wheel_b": Term("3432/9", "two_wheel_b", "count", 1, "", "open"),
    "speed_mean_kmh": Term("3432/12", "speed_mean", "m/s", _KMH, "averageVehicleSpeed", "open"),
    "speed_p85_kmh": Term("3432/12", "speed_p85", "m/s", _KMH, "", "open"),
    "above_limit_pct": Term("3432/17", "above_limit", "/", 0.01, "", "open"),
    "occupancy_pct": Term("3432/9", "occupancy", "/", 0.01, "occupancy", "open"),
    "headway_s": Term("3432/15", "headway", "s", 1, "averageHeadwayTime", "open"),
    "day_count_a": Term("3432/3", "day_count_a", "count", 1, "", "open"),
    "day_count_b": Term("3432/3", "day_count_b", "count", 1, "", "open"),
    "congested": Term("3432/9", "congested", None, 1, "congested", "open"),
    "sensor_fault": Term("3432/6042", "sensor_fault", None, 1, "", "internal"),
    "suppressed": Term("3432/6042", "suppressed", None, 1, "", "open"),
}

_BOTH = ("count_a", "count_b")

COUNTING = Counting(
    parts={"count_a": ("heavy_a", "two_wheel_a"), "count_b": ("heavy_b", "two_wheel_b")},
    derived=dict.fromkeys(("speed_mean_kmh", "speed_p85_kmh", "above_limit_pct", "occupancy_pct", "headway_s"), _BOTH),
    running=("day_count_a", "day_count_b"),
)
