# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Street light in the words of the open standards.

OMA LwM2M registry: 3416 outdoor lamp controller, 3418 electrical monitor, 3301 illuminance, 3303 temperature, 3311
light control (the photocell object 3419 carries thresholds and a state, but no illuminance). Smart Data Models:
dataModel.Streetlighting, Streetlight, whose ``current`` is in milliampere and whose ``illuminanceLevel`` runs 0 to 1.
"""

from firmware.wire.kinds.terms import Term

TERMS = {
    "lamp_on": Term("3311/5850", "lamp_on", None, 1, "powerState", "open"),
    "dim_pct": Term("3416/2", "dim", "/", 0.01, "illuminanceLevel", "open"),
    "power_w": Term("3418/4", "power", "W", 1, "powerConsumption", "open"),
    "energy_wh": Term("3418/6", "energy", "Wh", 1, "", "open"),
    "temperature_c": Term("3303/5700", "temperature", "Cel", 1, "", "internal"),
    "illuminance_lx": Term("3301/5700", "illuminance", "lx", 1, "", "open"),
    "voltage_v": Term("3418/1", "voltage", "V", 1, "voltage", "internal"),
    "current_a": Term("3418/2", "current", "A", 1, "current", "internal"),
    "power_factor": Term("3418/5", "power_factor", "/", 1, "powerFactor", "internal"),
    "burn_h": Term("3416", "burning_time", "s", 3600, "", "internal"),
    "switchings": Term("3416", "switchings", "count", 1, "", "internal"),
    "overridden": Term("3416", "overridden", None, 1, "", "internal"),
    "lamp_failure": Term("3416", "lamp_failure", None, 1, "", "internal"),
    "gear_failure": Term("3416", "gear_failure", None, 1, "", "internal"),
    "day_burner": Term("3416", "day_burner", None, 1, "", "internal"),
    "cycling": Term("3416", "cycling", None, 1, "", "internal"),
    "undervoltage": Term("3418", "undervoltage", None, 1, "", "internal"),
    "overvoltage": Term("3418", "overvoltage", None, 1, "", "internal"),
    "tilted": Term("3429", "tilted", None, 1, "", "internal"),
    "door_open": Term("", "door_open", None, 1, "", "restricted"),
    "overheated": Term("3416", "overheated", None, 1, "", "internal"),
    "tilt_deg": Term("3429", "tilt", "rad", 0.017453292519943295, "", "internal"),
    "driver_temperature_c": Term("3416", "driver_temperature", "Cel", 1, "", "internal"),
    "by_safety": Term("", "by_safety", None, 1, "", "internal"),
}
