# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Sensors, one module per chip. A sensor that does not answer raises OSError; what then is the role's decision.

A chip that a board's file names under ``[[node.sensors]]`` has a module ``<chip>.py`` with ``USE``, what it is for, and
``open_sensor(entry, i2c)``: *entry* is its table in the file, *i2c()* gives the board's I2C bus. By use they have:

- range: ``await ranges_mm(count)``, and ``nearest_mm``, ``farthest_mm``, what the chip can tell apart;
- temperature: ``temperature_c()``;
- tilt: ``gravity_mg()`` as (x, y, z), and ``motions()``, how often it was moved since it was asked last;
- battery: ``voltage_mv()``, ``charge_pct(mv, temperature_c)``;
- field: ``field_nt()`` as (x, y, z);
- speed: ``speeds()``, signed tenths of km/h that came since it was asked last; ``alive()``;
- contact: ``edges()``, (ticks in ms, level) since it was asked last, and ``lost``.
"""
